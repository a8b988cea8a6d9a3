"""A picture that explains a world: its concepts, and how documents reveal them."""

import textwrap
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from synthetic_worlds.exact import Information, concept_log_posterior, next_token_log_probs
from synthetic_worlds.world import ConceptWorld, Process, World

DOCUMENTS_PER_CONCEPT = 200
MOST_ROWS = 2048
MOST_GIVEN = 6
BLUE, ORANGE, GREY = "#2b6cb0", "#c05621", "#718096"
OWN_PANELS = {  # modules with another `draw_panels`
    "narration": "synthetic_worlds.draw_narration",
    "polya": "synthetic_worlds.draw_continuous",
    "lda": "synthetic_worlds.draw_continuous",
    "gaussian": "synthetic_worlds.draw_gaussian",
    "style": "synthetic_worlds.draw_style",
    "tree": "synthetic_worlds.draw_tree",
    "grammar": "synthetic_worlds.draw_grammar",
}


def draw_world(world: Process, figures: Information, stem: Path) -> list[Path]:
    """Draw ``world`` to ``stem``.png and ``stem``.svg; returns the two paths."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = world.spec_hash
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 8.6), layout="constrained")
    figure.suptitle(f"{world.title}, seed {world.seed}\n{_dials(world)}", fontsize=12)
    panels = import_module(OWN_PANELS[world.name]).draw_panels if world.name in OWN_PANELS else draw_panels
    panels(axes, world, figures, torch.Generator().manual_seed(0))
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.parent / f"{stem.name}.{kind}" for kind in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return paths


def draw_panels(axes, world: ConceptWorld, figures: Information, generator: torch.Generator) -> None:
    """Four panels on ``axes`` (2, 2): how often each concept uses each word; one row of related documents and the
    posterior as they are read; how fast related documents reveal the concept on average; what one document says of the
    next, word by word."""
    rows = max(8, min(MOST_ROWS, 2**23 // (world.L * world.V)))
    concepts = world.sample_concepts(rows, generator)
    related = [world.sample_given_concepts(concepts, generator).tokens for _ in range(MOST_GIVEN)]
    draw_words(axes[0, 0], world, generator)
    draw_example(axes[0, 1], world, concepts, related)
    draw_contraction(axes[1, 0], world, figures, concepts, related)
    draw_gain(axes[1, 1], world, figures, related)


def _dials(world: Process) -> str:
    dials = [f"{name}\N{NO-BREAK SPACE}{value:g}" for name, value in world.dials.items()]
    return textwrap.fill(", ".join(dials), 125)


def draw_words(axis, world: ConceptWorld, generator: torch.Generator) -> None:
    shown = min(world.C, 64)
    concepts = torch.arange(shown).repeat_interleave(DOCUMENTS_PER_CONCEPT)
    tokens = world.sample_given_concepts(concepts, generator).tokens.reshape(shown, -1)
    counts = torch.zeros(shown, world.V).scatter_add_(1, tokens, torch.ones(tokens.shape))
    image = axis.imshow(
        (counts / tokens.shape[1]).numpy(), aspect="auto", cmap="Blues", interpolation="nearest", vmin=0
    )
    axis.figure.colorbar(image, ax=axis, label="share of the concept's words")
    axis.set(xlabel="word", ylabel="concept", title="How often each concept uses each word")


def draw_example(axis, world: ConceptWorld, concepts: Tensor, related: list[Tensor]) -> None:
    """Row 0: the posterior after none, one, two, ... of the related documents, as a map with the truth marked."""
    beliefs = [world.log_prior.exp()]
    for m in range(1, MOST_GIVEN + 1):
        beliefs.append(concept_log_posterior(world, *(document[:1] for document in related[:m]))[0].exp())
    image = axis.imshow(
        torch.stack(beliefs).numpy(), aspect="auto", cmap="Oranges", vmin=0, vmax=1, interpolation="nearest"
    )
    axis.figure.colorbar(image, ax=axis, label="p(c | documents)")
    truth = int(concepts[0])
    axis.axvline(truth - 0.5, color=GREY, lw=1, ls=":")
    axis.axvline(truth + 0.5, color=GREY, lw=1, ls=":")
    axis.annotate("true concept", (truth, -0.5), (truth, -0.62), ha="center", va="bottom", color=GREY, fontsize=9)
    axis.set(xlabel="concept", ylabel="related documents read", yticks=range(MOST_GIVEN + 1))
    axis.set_title("One concept: the posterior as its documents are read", pad=18)


def draw_contraction(axis, world: ConceptWorld, figures: Information, concepts: Tensor, related: list[Tensor]) -> None:
    means, errors = [figures.H_c], [0.0]
    for m in range(1, MOST_GIVEN + 1):
        entropy = world.belief_entropy(concept_log_posterior(world, *related[:m]))
        means.append(float(entropy.mean()))
        errors.append(float(entropy.std()) / len(concepts) ** 0.5)
    axis.errorbar(range(MOST_GIVEN + 1), means, errors, color=BLUE, marker="o", capsize=3)
    axis.axhline(figures.log_C, color=GREY, ls=":")
    axis.text(MOST_GIVEN, 1.02 * figures.log_C, f"log C = {figures.log_C:.2f}: nothing known", ha="right", color=GREY)
    axis.annotate(
        f"H(c|d1) = {figures.H_c_given_d1:.2f} nats, {100 * figures.ambiguity:.0f} % of log C",
        (1, figures.H_c_given_d1),
        (0.2, 0.08 * figures.log_C) if figures.ambiguity > 0.6 else (1.6, 0.65 * figures.log_C),
        arrowprops={"arrowstyle": "->", "color": GREY},
    )
    axis.set(xlabel="related documents read", ylabel="entropy of the concept (nats)", ylim=(0, 1.12 * figures.log_C))
    axis.set_title("How fast related documents reveal their concept")


def draw_gain(axis, world: World, figures: Information, related: list[Tensor]) -> None:
    """Surprise at each word averaged exactly over the word, given what comes before: no noise of the word's own."""
    d1, d2 = related[:2]
    truth = next_token_log_probs(world, d2, d1).exp()
    for given, colour, label in (((), BLUE, "without d1"), ((d1,), ORANGE, "after reading d1")):
        loss = -torch.xlogy(truth, next_token_log_probs(world, d2, *given).exp()).sum(-1)
        mean, error = loss.mean(0).numpy(), loss.std(0).numpy() / len(d1) ** 0.5
        axis.plot(mean, color=colour, marker=".", label=label, ls="-" if not given else "--")
        axis.fill_between(range(len(mean)), mean - error, mean + error, color=colour, alpha=0.2, lw=0)
    axis.set(xlabel="position in d2", ylabel="surprise of exact Bayes (nats a word)")
    axis.set_title(f"What d1 says of d2: I(d1;d2) = {figures.I_d1_d2:.2f} nats, the area between")
    axis.legend(frameon=False)
