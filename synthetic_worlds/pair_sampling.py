"""Pairs of documents as corpora have them: mostly related, some wrong, some copies, some alike in style alone.

Every option is the same in every world. What happened to each pair is recorded; what exact Bayes says of d2 given d1
when pairs are made so is in `synthetic_worlds.pair_law`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from synthetic_worlds.categorical import check_distributions, cumulative, draw
from synthetic_worlds.world import ConceptWorld, Documents, Process, World, WorldError

OUTCOMES = ("related", "wrong", "related, same style", "wrong, same style", "near-duplicate")
RELATED, WRONG, RELATED_SAME_STYLE, WRONG_SAME_STYLE, NEAR_DUPLICATE = range(len(OUTCOMES))


class Styled(Protocol):
    """What a `ConceptWorld` offers whose documents have a private style, latent ``style``, that a pair may share.

    style_prior: (Z,) probabilities of the styles, whatever the concept.
    """

    style_prior: Tensor

    def sample_given_concepts(
        self, concepts: Tensor, generator: torch.Generator, styles: Tensor | None = None
    ) -> Documents:
        """One document for each concept (B,) and style (B,)."""
        ...

    def concept_and_style_world(self) -> ConceptWorld:
        """The same documents, with concept c and style z of Z together as the concept c * Z + z."""
        ...


@dataclass(frozen=True)
class PairSampling:
    """How the partner d2 of a document d1 is made. All are probabilities; nothing set means related pairs.

    near_duplicate: d2 is d1 with each token replaced, with probability ``edit_rate``, by one of the V - 1 others.
    wrong: of the rest, d2 has a concept of its own, drawn from the prior (it may be that of d1 by chance).
    shared_style: of the same rest, wrong or not, d2 has the style of d1; other latents are its own.
    prior: (C,) in place of the world's prior over concepts, for d1 and d2 both.

    Raises WorldError for a probability outside 0 to 1.
    """

    wrong: float = 0.0
    near_duplicate: float = 0.0
    edit_rate: float = 0.0
    shared_style: float = 0.0
    prior: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("wrong", "near_duplicate", "edit_rate", "shared_style"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise WorldError(f"pair sampling: {name}={value!r}; expected a probability, 0 to 1")

    def outcome_probabilities(self) -> Tensor:
        """(5,) float64 probability of each of `OUTCOMES`."""
        right, wrong, own, shared = 1 - self.wrong, self.wrong, 1 - self.shared_style, self.shared_style
        rest = torch.tensor([right * own, wrong * own, right * shared, wrong * shared], dtype=torch.float64)
        return torch.cat([(1 - self.near_duplicate) * rest, torch.tensor([self.near_duplicate]).double()])

    def check(self, world: Process) -> None:
        """Raise WorldError where ``world`` cannot make such pairs."""
        name = f"world {world.name}"
        if self.near_duplicate and not isinstance(world, World):
            raise WorldError(f"{name}: near_duplicate={self.near_duplicate:g} copies tokens; its documents are vectors")
        if self.near_duplicate and self.edit_rate and world.V < 2:
            raise WorldError(f"{name}: edit_rate={self.edit_rate:g} expects another word to put; it has only one")
        if self.shared_style and not hasattr(world, "concept_and_style_world"):
            raise WorldError(f"{name}: shared_style={self.shared_style:g}, but its documents have no style")
        if self.prior is not None:
            if not isinstance(world, ConceptWorld):
                raise WorldError(f"{name}: prior: expected none, it has no finite set of concepts")
            if self.prior.shape != (world.C,):
                raise WorldError(f"{name}: prior {tuple(self.prior.shape)}; expected ({world.C},)")
            check_distributions(world.name, {"prior": self.prior})

    def sample_concepts(self, world: Process, n: int, generator: torch.Generator) -> Tensor:
        """``n`` concepts from the prior that pairs have."""
        if self.prior is None:
            return world.sample_concepts(n, generator)
        return draw(cumulative(self.prior)[None], n, generator)[0]


@dataclass(frozen=True)
class Pairs:
    """Pairs and what happened to each.

    d1, d2: (B, L) documents; latents1, latents2: their latents, as `Documents.latents` (a near-duplicate has those of
    d1); outcome: (B,) int64 places in `OUTCOMES`; edits: (B,) int64 tokens changed in a near-duplicate, 0 elsewhere.
    """

    d1: Tensor
    d2: Tensor
    latents1: Mapping[str, Tensor]
    latents2: Mapping[str, Tensor]
    outcome: Tensor
    edits: Tensor


def sample_pairs(world: Process, n: int, generator: torch.Generator, options: PairSampling) -> Pairs:
    """``n`` pairs of documents of ``world``.

    Raises WorldError where an option does not apply: no tokens to copy, no style to share, no prior to replace.
    """
    options.check(world)
    outcome = draw(cumulative(options.outcome_probabilities())[None], n, generator)[0]
    concepts, others = (options.sample_concepts(world, n, generator) for _ in range(2))
    first = world.sample_given_concepts(concepts, generator)
    wrong = (outcome == WRONG) | (outcome == WRONG_SAME_STYLE)
    same_style = (outcome == RELATED_SAME_STYLE) | (outcome == WRONG_SAME_STYLE)
    copied = outcome == NEAR_DUPLICATE
    second = world.sample_given_concepts(_where(wrong, others, concepts), generator)
    d2, latents, edits = second.tokens, dict(second.latents), torch.zeros(n, dtype=torch.int64)
    if same_style.any():
        concepts2, styles = latents["concept"][same_style], first.latents["style"][same_style]
        alike = world.sample_given_concepts(concepts2, generator, styles=styles)
        d2[same_style] = alike.tokens
        for name, values in alike.latents.items():
            latents[name][same_style] = values
    if copied.any():
        d2[copied], edits[copied] = edited(first.tokens[copied], options.edit_rate, world.V, generator)
        for name, values in first.latents.items():
            latents[name] = _where(copied, values, latents[name])
    return Pairs(first.tokens, d2, first.latents, latents, outcome, edits)


def edited(tokens: Tensor, rate: float, vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``tokens`` (B, L) with each replaced by another word, all equally likely, with probability ``rate``; how many."""
    change = torch.rand(tokens.shape, dtype=torch.float64, generator=generator) < rate
    shift = torch.randint(1, max(2, vocabulary), tokens.shape, generator=generator)
    return torch.where(change, (tokens + shift) % vocabulary, tokens), change.sum(1)


def _where(rows: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Rows of ``one`` where ``rows`` (B,), else of ``other``."""
    return torch.where(rows.view(-1, *[1] * (one.ndim - 1)), one, other)
