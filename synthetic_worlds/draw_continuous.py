"""The picture of a world of tokens whose concepts are a continuum."""

import torch
from torch import Tensor

from synthetic_worlds.draw import BLUE, GREY, draw_gain
from synthetic_worlds.exact import Information, log_evidence, log_predictive, next_token_log_probs
from synthetic_worlds.world import Process, World

ROWS = 512
MOST_GIVEN = 6
CONCEPTS_SHOWN = 32
DOCUMENTS_PER_CONCEPT = 400


def draw_panels(axes, world: World, figures: Information, generator: torch.Generator) -> None:
    """Four panels on ``axes`` (2, 2): the words of some concepts; one row of related documents and the law of the next
    word as they are read; what ever more documents say of the next one; what one says of the next, word by word."""
    concepts = world.sample_concepts(ROWS, generator)
    related = [world.sample_given_concepts(concepts, generator).tokens for _ in range(MOST_GIVEN + 1)]
    _draw_words(axes[0, 0], _word_laws(world, concepts[:CONCEPTS_SHOWN], generator))
    _draw_example(axes[0, 1], world, concepts[:1], related, generator)
    draw_growth(axes[1, 0], world, figures, related)
    draw_gain(axes[1, 1], world, figures, related)


def draw_growth(axis, world: Process, figures: Information, related: list[Tensor]) -> None:
    """I(d1 .. dm; d_(m+1)) against m, up to what the concept itself would tell."""
    last = related[-1]
    evidence, means, errors = log_evidence(world, last), [0.0], [0.0]
    for m in range(1, len(related)):
        gain = log_predictive(world, last, *related[:m]) - evidence
        means.append(float(gain.mean()))
        errors.append(float(gain.std()) / len(gain) ** 0.5)
    axis.errorbar(range(len(related)), means, errors, color=BLUE, marker="o", capsize=3, label="exact, mean ± se")
    axis.axhline(figures.I_c_d1, color=GREY, ls=":", label=f"I(c;d) = {figures.I_c_d1:.2f}: the concept known")
    axis.set(xlabel="related documents read", ylabel="gain on the next document (nats)")
    axis.set_title(f"How much related documents say: one leaves {100 * figures.ambiguity:.0f} % out")
    axis.legend(frameon=False, loc="lower right")


def _word_laws(world: World, concepts: Tensor, generator: torch.Generator) -> Tensor:
    """(C, V) how often each concept uses each word, counted in many documents."""
    tokens = world.sample_given_concepts(concepts.repeat_interleave(DOCUMENTS_PER_CONCEPT, 0), generator).tokens
    tokens = tokens.reshape(len(concepts), -1)
    return torch.zeros(len(concepts), world.V).scatter_add_(1, tokens, torch.ones(tokens.shape)) / tokens.shape[1]


def _draw_words(axis, laws: Tensor) -> None:
    image = axis.imshow(laws.numpy(), aspect="auto", cmap="Blues", interpolation="nearest", vmin=0)
    axis.figure.colorbar(image, ax=axis, label="share of the concept's words")
    axis.set(xlabel="word", ylabel="concept drawn from the prior", title="How often some concepts use each word")


def _draw_example(axis, world: World, concept: Tensor, related: list[Tensor], generator: torch.Generator) -> None:
    """Row 0 of the documents: the law of the next word after none, one, two, ... of them, and the concept's own."""
    first = related[-1][:1, :1]
    laws = [
        next_token_log_probs(world, first, *(document[:1] for document in related[:m]))[0, 0].exp()
        for m in range(MOST_GIVEN + 1)
    ]
    laws.append(_word_laws(world, concept, generator)[0].double())
    image = axis.imshow(torch.stack(laws).numpy(), aspect="auto", cmap="Oranges", vmin=0, interpolation="nearest")
    axis.figure.colorbar(image, ax=axis, label="probability of the next word")
    axis.axhline(MOST_GIVEN + 0.5, color=GREY, lw=1)
    axis.set_yticks(range(MOST_GIVEN + 2), [*map(str, range(MOST_GIVEN + 1)), "truth"])
    axis.set(
        xlabel="word", ylabel="related documents read", title="One concept: the next word as its documents are read"
    )
