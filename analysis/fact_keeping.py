"""What synthesized narrations say of a person, beside what the seed document d1 said and what is true.

Shapes: B documents, A attributes, K values. Reported values are (B, A), -1 where an attribute is not mentioned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic_worlds.narration import Narration
from synthetic_worlds.narration_grammar import SENTENCE_END
from synthetic_worlds.narration_posterior import attribute_log_posterior


@dataclass(frozen=True)
class FactShare:
    """share: of mentioned facts, with its standard error (documents taken as independent); exact: the share that exact
    Bayes has in expectation on the same d1; documents: how many have a fact that counts."""

    share: float
    se: float
    exact: float
    documents: int


def reported_values(world: Narration, tokens: Tensor) -> Tensor:
    """(B, A) what documents of the world (B, L) report."""
    symbols = world.symbols(tokens)
    values = torch.full((len(tokens), world.A + 1), -1, dtype=torch.int64)
    # Remarks without facts go to a column of their own, which is dropped.
    column = torch.where(symbols.is_fact, symbols.attribute, world.A)
    return values.scatter_(1, column, symbols.value)[:, : world.A]


def read_values(world: Narration, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(B, A) what texts report that need not be documents of the world, and (B,) the share of valid sentences.

    The first mention of an attribute counts; other sentences say nothing.
    """
    read = [[world.grammar.readings.get(s) for s in SENTENCE_END.split(text)] for text in texts]
    symbols = [[reading[1] for reading in readings if reading is not None] for readings in read]
    known = [len(found) / len(readings) for found, readings in zip(symbols, read, strict=True)]
    aside = world.V - 1  # fills up short rows; reports nothing
    longest = max(1, *map(len, symbols))
    padded = torch.tensor([found + [aside] * (longest - len(found)) for found in symbols])
    values = torch.full((len(texts), world.A), -1, dtype=torch.int64)
    for t in reversed(range(longest)):
        here = reported_values(world, padded[:, t : t + 1])
        values = torch.where(here >= 0, here, values)
    return values, torch.tensor(known, dtype=torch.float64)


def report_probabilities(world: Narration, *given: Tensor) -> Tensor:
    """(B, A, K) p(a related document reports v of attribute i | it mentions i, given): the truth or a chance value."""
    truth = attribute_log_posterior(world, *given).exp()
    return (1 - world.misreport) * truth + world.misreport / world.K


def facts_kept(world: Narration, d1: Tensor, second: Tensor) -> FactShare:
    """The share of attributes mentioned in both documents on which d2 says the same as d1.

    d1: (B, L) documents; second: what each d2 reports (B, A). Copying d1 keeps all; exact Bayes keeps fewer, since d1
    may be wrong and since d2 may be. A document chooses what to mention without regard to the truth, so the exact share
    weighs all attributes of d1 alike.
    """
    first = reported_values(world, d1)
    both = (first >= 0) & (second >= 0)
    law = report_probabilities(world, d1).gather(2, first.clamp_min(0)[..., None]).squeeze(2)
    return _share(both & (first == second), both, law, first >= 0)


def untrue_facts(world: Narration, d1: Tensor, second: Tensor, concepts: Tensor) -> FactShare:
    """The share of d2's facts that are not true of the person d1 is about.

    d1: (B, L) documents; second: what each d2 reports (B, A); concepts: (B,) the persons. For exact Bayes
    1 - ((1 - misreport) E sum_k p(a_i = k | d1)^2 + misreport / K): the floor of invention, and the chance reports that
    all documents have.
    """
    truth = world.attributes_of(concepts)
    posterior = attribute_log_posterior(world, d1).exp()
    law = 1 - (posterior * report_probabilities(world, d1)).sum(2)
    mentioned = second >= 0
    return _share(mentioned & (second != truth), mentioned, law, torch.ones_like(mentioned))


def _share(hits: Tensor, counted: Tensor, law: Tensor, weighed: Tensor) -> FactShare:
    """Hits among the counted cells (B, A); the exact law's mean over the cells that are weighed."""
    hit, total = hits.sum(1).double(), counted.sum(1).double()
    n, share = int((total > 0).sum()), float(hit.sum() / total.sum())
    se = float((hit - share * total).std() / total.mean() / len(total) ** 0.5)
    return FactShare(share, se, float(law[weighed].mean()), n)
