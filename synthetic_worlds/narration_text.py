"""Narrations as text: rendering documents, parsing texts, and the exact probability of a text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synthetic_worlds import exact
from synthetic_worlds.narration_grammar import NAMES, Narrative

if TYPE_CHECKING:
    from synthetic_worlds.narration import Narration

NAMED_AGAIN = 0.25  # chance that a sentence has the name again, where the one before it has a pronoun


@dataclass(frozen=True)
class Parsed:
    """What texts say. valid: (B,) bool, whether the world can write the text; the rest is of the M valid ones.

    tokens: (M, L) sentence symbols; latents: ``name`` (M,) and ``named`` (M, L), as the world's documents have them.
    """

    valid: Tensor
    tokens: Tensor
    latents: dict[str, Tensor]


def render(world: "Narration", tokens: Tensor, latents: Mapping[str, Tensor]) -> list[str]:
    """(B,) texts of ``tokens`` (B, L'); latents: ``name`` (B,) and ``named`` (B, L') or longer."""
    rows = zip(latents["name"].tolist(), tokens.tolist(), latents["named"].bool().tolist(), strict=True)
    return [
        world.grammar.render(Narrative(name, tuple(symbols), tuple(named[: len(symbols)])))
        for name, symbols, named in rows
    ]


def parse(world: "Narration", texts: Sequence[str], length: int | None = None) -> Parsed:
    """The documents of ``length`` sentences (the world's L unless given) that render as ``texts``."""
    length = world.L if length is None else length
    found = [world.grammar.parse(text) for text in texts]
    valid = [narrative is not None and len(narrative.symbols) == length for narrative in found]
    kept = [narrative for narrative, ok in zip(found, valid, strict=True) if ok]
    tokens = torch.tensor([narrative.symbols for narrative in kept], dtype=torch.int64).view(-1, length)
    name = torch.tensor([narrative.name for narrative in kept], dtype=torch.int64)
    named = torch.tensor([narrative.named for narrative in kept], dtype=torch.int64).view(-1, length)
    return Parsed(torch.tensor(valid, dtype=torch.bool), tokens, {"name": name, "named": named})


def sample_naming(n: int, length: int, generator: torch.Generator) -> dict[str, Tensor]:
    """First names, and which sentences have them: the first, and others now and then, but never two in a row.

    ``name`` (n,) index into `narration_grammar.NAMES`, ``named`` (n, length) of 0 and 1.
    """
    name = torch.randint(len(NAMES), (n,), generator=generator)
    named = (torch.rand(n, length, dtype=torch.float64, generator=generator) < NAMED_AGAIN).long()
    named[:, 0] = 1
    for t in range(1, length):
        named[:, t] *= 1 - named[:, t - 1]
    return {"name": name, "named": named}


def log_prob_of_naming(latents: Mapping[str, Tensor]) -> Tensor:
    """(B,) log p(name, named) of `sample_naming`; nothing of it depends on the person."""
    named = latents["named"]
    before, now = named[:, :-1], named[:, 1:]
    steps = torch.tensor([[1 - NAMED_AGAIN, NAMED_AGAIN], [1.0, 0.0]], dtype=torch.float64).log()
    chance = steps[before, now].sum(1) - math.log(len(NAMES))
    return chance.masked_fill(named[:, 0] == 0, -torch.inf)


def text_log_predictive(world: "Narration", texts: Sequence[str], *given: Sequence[str]) -> Tensor:
    """(B,) log p(text | given texts), each of ``given`` (B,) texts about the same person; without them the evidence.

    A text that the world never writes has -inf, and so has every text given one.
    """
    parsed = [parse(world, some) for some in (texts, *given)]
    valid = torch.stack([some.valid for some in parsed]).all(0)
    rows = [some.tokens[valid[some.valid]] for some in parsed]
    result = torch.full((len(texts),), -torch.inf, dtype=torch.float64)
    naming = [log_prob_of_naming(some.latents)[valid[some.valid]] for some in parsed]
    result[valid] = exact.log_predictive(world, *rows) + naming[0]
    for some in naming[1:]:
        result[valid] = result[valid].masked_fill(some == -torch.inf, -torch.inf)
    return result
