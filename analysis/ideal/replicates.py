"""Several worlds, or one several times, as one: documents and exact Bayes with a leading axis of replicates."""

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from synthetic_worlds import exact
from synthetic_worlds.world import Process


def sample_groups(worlds: Sequence[Process], groups: int, size: int, generator: torch.Generator) -> Tensor:
    """(R, G, g, ...) documents: in each replicate ``groups`` concepts from the prior, ``size`` documents of each."""

    def draw(world: Process, count: int, rows: slice) -> Tensor:
        concepts = world.sample_concepts(count * groups, generator).repeat_interleave(size, 0)
        documents = world.sample_given_concepts(concepts, generator).tokens
        return documents.view(count, groups, size, *documents.shape[1:])

    return _each(worlds, draw)


def exact_log_density(worlds: Sequence[Process], documents: Tensor) -> Tensor:
    """(R, B) log p(d) of ``documents`` (R, B, ...), each replicate's in its own world."""

    def evidence(world: Process, count: int, rows: slice) -> Tensor:
        return exact.log_evidence(world, documents[rows].flatten(0, 1)).view(count, -1)

    return _each(worlds, evidence)


def exact_related(worlds: Sequence[Process], seeds: Tensor, generator: torch.Generator) -> Tensor:
    """(R, B, ...) one document from the exact p(d2 | d1) for each of ``seeds`` (R, B, ...)."""

    def related(world: Process, count: int, rows: slice) -> Tensor:
        return exact.sample_related(world, generator, seeds[rows].flatten(0, 1)).view(seeds[rows].shape)

    return _each(worlds, related)


def _each(worlds: Sequence[Process], function: Callable[[Process, int, slice], Tensor]) -> Tensor:
    """``function`` of each run of one and the same world, its number of replicates and their rows; put together."""
    parts, start = [], 0
    for _, run in groupby(worlds, key=id):
        same = list(run)
        parts.append(function(same[0], len(same), slice(start, start + len(same))))
        start += len(same)
    return torch.cat(parts)
