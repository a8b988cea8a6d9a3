"""The picture of concept times style: what styles do to words, and that each document has a style of its own."""

import math

import torch
from torch import Tensor

from synthetic_worlds.draw import BLUE, GREY, MOST_GIVEN, ORANGE, draw_gain
from synthetic_worlds.exact import Information, concept_log_posterior
from synthetic_worlds.style import ConceptStyle

CONCEPTS_SHOWN = 4
WORDS_COUNTED = 4000
ROWS = 1024


def draw_panels(axes, world: ConceptStyle, figures: Information, generator: torch.Generator) -> None:
    """Four panels on ``axes`` (2, 2): words by concept and style; the styles of one row of related documents; what is
    left to know of concept and style as d2 is read after d1; what one document says of the next, word by word."""
    concepts = world.sample_concepts(ROWS, generator)
    related = [world.sample_given_concepts(concepts, generator) for _ in range(MOST_GIVEN)]
    _draw_words(axes[0, 0], world, generator)
    _draw_styles(axes[0, 1], world, [(row.tokens[:1], int(row.latents["style"][0])) for row in related])
    d1, d2 = (documents.tokens for documents in related[:2])
    _draw_left_to_know(axes[1, 0], world, d1, d2)
    draw_gain(axes[1, 1], world, figures, [d1, d2])


def _draw_words(axis, world: ConceptStyle, generator: torch.Generator) -> None:
    shown, documents = min(world.C, CONCEPTS_SHOWN), -(-WORDS_COUNTED // world.L)
    cells = torch.arange(shown * world.Z).repeat_interleave(documents)
    tokens = world.sample_given_concepts(cells // world.Z, generator, styles=cells % world.Z).tokens
    tokens = tokens.reshape(shown * world.Z, -1)
    counts = torch.zeros(len(tokens), world.V).scatter_add_(1, tokens, torch.ones(tokens.shape))
    image = axis.imshow((counts / tokens.shape[1]).numpy(), aspect="auto", cmap="Blues", interpolation="nearest")
    axis.figure.colorbar(image, ax=axis, label="share of words")
    for concept in range(1, shown):
        axis.axhline(concept * world.Z - 0.5, color=ORANGE, lw=1.5)
    axis.set_yticks([(c + 0.5) * world.Z - 0.5 for c in range(shown)], [f"concept {c}" for c in range(shown)])
    axis.set(xlabel="word", title=f"Words of {shown} concepts, each in {world.Z} styles (rows)")


def _draw_styles(axis, world: ConceptStyle, documents: list[tuple[Tensor, int]]) -> None:
    posterior = torch.cat([world.style_log_posterior(tokens) for tokens, _ in documents]).exp()
    image = axis.imshow(posterior.numpy(), aspect="auto", cmap="Oranges", vmin=0, vmax=1, interpolation="nearest")
    axis.figure.colorbar(image, ax=axis, label="p(style | the document)")
    axis.plot([style for _, style in documents], range(len(documents)), "o", mfc="none", mec=GREY, ms=11)
    axis.set(xlabel="style (circle: the document's true one)", ylabel="related document", xticks=range(world.Z))
    axis.set_yticks(range(len(documents)), range(1, len(documents) + 1))
    axis.set_title("One concept's documents: each has a style of its own")


def _draw_left_to_know(axis, world: ConceptStyle, d1: Tensor, d2: Tensor) -> None:
    belief, of_concept, of_style = concept_log_posterior(world, d1), [], []
    for t in range(world.L + 1):
        after = world.update_belief(belief, d2[:, :t])[0] if t else belief
        style = world.style_log_posterior(d2[:, :t], belief) if t else world.style_prior.log()[None]
        of_concept.append(float(world.belief_entropy(after).mean()))
        of_style.append(float(torch.special.entr(style.exp()).sum(1).mean()))
    axis.plot(of_concept, color=BLUE, marker=".", label="concept: d1 has told of it")
    axis.plot(of_style, color=ORANGE, marker=".", ls="--", label="style of d2: d1 has not")
    log_Z = math.log(world.Z)
    axis.axhline(log_Z, color=GREY, ls=":", lw=1)
    axis.text(world.L, 1.02 * log_Z, f"log Z, Z = {world.Z} styles", ha="right", color=GREY)
    top = 1.12 * max(log_Z, *of_concept, 0.1)
    axis.set(xlabel="words of d2 read", ylabel="entropy left (nats)", ylim=(0, top))
    axis.set_title("What is left to know while d2 is read after d1")
    axis.legend(frameon=False)
