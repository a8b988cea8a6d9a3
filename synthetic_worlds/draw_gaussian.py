"""The picture of the linear-Gaussian world."""

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.draw import BLUE, GREY, ORANGE
from synthetic_worlds.draw_continuous import MOST_GIVEN, ROWS, draw_growth
from synthetic_worlds.exact import Information
from synthetic_worlds.gaussian import LinearGaussian

CONCEPTS_SHOWN = 6
DOCUMENTS_PER_CONCEPT = 40


def draw_panels(axes, world: LinearGaussian, figures: Information, generator: torch.Generator) -> None:
    """Four panels on ``axes`` (2, 2): documents of some concepts; one concept's posterior as documents are read; what
    ever more documents say of the next one; informations against the share of noise, in closed form."""
    concepts = world.sample_concepts(ROWS, generator)
    related = [world.sample_given_concepts(concepts, generator).tokens for _ in range(MOST_GIVEN + 1)]
    _draw_documents(axes[0, 0], world, concepts[:CONCEPTS_SHOWN], generator)
    _draw_posterior(axes[0, 1], world, concepts[0], [document[:1] for document in related])
    draw_growth(axes[1, 0], world, figures, related)
    _draw_informations(axes[1, 1], world)


def _draw_documents(axis, world: LinearGaussian, concepts: Tensor, generator: torch.Generator) -> None:
    directions = torch.linalg.svd(world.loading, full_matrices=False)[0][:, :2]
    for concept in concepts:
        drawn = world.sample_given_concepts(concept.expand(DOCUMENTS_PER_CONCEPT, -1), generator).tokens @ directions
        axis.plot(drawn[:, 0], drawn[:, -1], ".", alpha=0.6)
    axis.set(xlabel="documents along the strongest direction of W", ylabel="along the second strongest")
    axis.set_title(f"{DOCUMENTS_PER_CONCEPT} documents of each of {len(concepts)} concepts")


def _draw_posterior(axis, world: LinearGaussian, concept: Tensor, documents: list[Tensor]) -> None:
    belief = world.prior_belief(1)
    means, deviations = [], []
    for document in documents:
        mean, covariance = world.concept_posterior(belief)
        means.append(mean[0])
        deviations.append(covariance[0].diagonal().sqrt())
        belief, _ = world.update_belief(belief, document)
    means, deviations, read = torch.stack(means), torch.stack(deviations), np.arange(len(documents))
    for i, colour in zip(range(min(3, world.q)), (BLUE, ORANGE, GREY), strict=False):
        axis.errorbar(read + 0.08 * i, means[:, i], deviations[:, i], color=colour, marker="o", capsize=3, lw=1)
        axis.axhline(float(concept[i]), color=colour, ls=":")
    axis.set(xlabel="related documents read", ylabel="coordinate of the concept")
    axis.set_title("One concept: mean ± sd of coordinates; dotted, the truth")


def _draw_informations(axis, world: LinearGaussian) -> None:
    """Both closed forms as all of the noise is scaled; at the world's own noise both are marked."""
    signal = world.axes[1]
    scales = torch.logspace(-2, 2, 100, dtype=torch.float64)
    ratios = signal / scales[:, None]
    concept = 0.5 * torch.log1p(ratios).sum(1)
    pair = 0.5 * (2 * torch.log1p(ratios) - torch.log1p(2 * ratios)).sum(1)
    axis.semilogx(scales, concept, color=BLUE, label="I(c;d1) = 1/2 Σ log(1 + s)")
    axis.semilogx(scales, pair, color=ORANGE, label="I(d1;d2) = 1/2 Σ log((1 + s)² / (1 + 2s))")
    axis.plot([1, 1], [world.concept_information(), world.pair_information()], "o", color=GREY, label="this world")
    axis.set(xlabel="noise variance, as a multiple of this world's", ylabel="nats a document", ylim=(0, None))
    axis.set_title("What documents say, in closed form")
    axis.legend(frameon=False)
