"""Divides documents into the splits of an experiment, whole groups (concepts, or long documents' parts) at a time."""

import numpy as np

from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import numpy_generator

ENOUGH = 0.9
"""A split may fall short of its size by a tenth, where the groups that are left are too large to fit."""


def split_groups(groups: np.ndarray, sizes: SplitSizes, seed: int, corpus: str) -> dict[str, np.ndarray]:
    """Indices of the documents of each split, in random order; no group is in two splits.

    groups: (N,) int64, the group of each document, -1 for a document that is left out. Groups come in random order;
    ``heldout``, ``validation``, ``real`` and the rest of ``oracle`` are filled in turn, each with the next groups that
    still fit, so that no split exceeds its size and ``real`` holds all documents of the groups it touches.
    UserError, naming ``corpus`` and the numbers, when there are too few documents. Cost O(N log N).
    """
    rng = numpy_generator("splits", seed)
    usable = int((groups >= 0).sum())
    sizes = sizes.within(usable)
    wanted = {
        "heldout": sizes.heldout,
        "validation": sizes.validation,
        "real": sizes.real,
        "oracle": sizes.oracle - sizes.real,
    }
    if usable < sum(wanted.values()):
        asked = ", ".join(f"{name} {size}" for name, size in wanted.items())
        raise UserError(
            f"{corpus}: {usable} usable documents are too few for {sum(wanted.values())} ({asked} beyond real)"
        )
    order = np.argsort(groups, kind="stable")[groups.size - usable :]
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    counts = np.diff(starts, append=usable)
    waiting = rng.permutation(counts.size)
    splits = {}
    for name, size in wanted.items():
        fits = _fill(counts[waiting], size)
        taken, waiting = waiting[fits], waiting[~fits]
        # The documents of group g are order[starts[g] : starts[g] + counts[g]].
        ends = np.cumsum(counts[taken])
        places = np.arange(ends[-1] if ends.size else 0) + np.repeat(
            starts[taken] - ends + counts[taken], counts[taken]
        )
        found = order[places]
        if found.size < ENOUGH * size:
            raise UserError(
                f"{corpus}: split {name} asks for {size} documents, {found.size} could be had in whole groups "
                f"(the largest has {counts.max()} documents)"
            )
        splits[name] = rng.permutation(found)
    splits["oracle"] = rng.permutation(np.concatenate([splits["real"], splits["oracle"]]))
    return splits


def _fill(counts: np.ndarray, size: int) -> np.ndarray:
    """Which groups of so many documents, (G,), are taken in turn while they fit ``size`` documents: (G,) bool."""
    taken = np.zeros(counts.size, dtype=bool)
    for i, count in enumerate(counts.tolist()):
        if count <= size:
            taken[i] = True
            size -= count
        if not size:
            break
    return taken
