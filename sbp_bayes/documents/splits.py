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
    wanted = {
        "heldout": sizes.heldout,
        "validation": sizes.validation,
        "real": sizes.real,
        "oracle": sizes.oracle - sizes.real,
    }
    usable = int((groups >= 0).sum())
    if usable < sum(wanted.values()):
        asked = ", ".join(f"{name} {size}" for name, size in wanted.items())
        raise UserError(
            f"{corpus}: {usable} usable documents are too few for {sum(wanted.values())} ({asked} beyond real)"
        )
    order = np.argsort(groups, kind="stable")[groups.size - usable :]
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    members = np.split(order, starts[1:])
    waiting = [members[i] for i in rng.permutation(len(members))]
    splits = {}
    for name, size in wanted.items():
        taken, waiting = _fill(waiting, size)
        found = np.concatenate([*taken, np.zeros(0, dtype=np.int64)])
        if found.size < ENOUGH * size:
            largest = max(group.size for group in members)
            raise UserError(
                f"{corpus}: split {name} asks for {size} documents, {found.size} could be had in whole groups "
                f"(the largest has {largest} documents)"
            )
        splits[name] = rng.permutation(found)
    splits["oracle"] = rng.permutation(np.concatenate([splits["real"], splits["oracle"]]))
    return splits


def _fill(groups: list[np.ndarray], size: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The first groups that together fit ``size`` documents, and those left over, both in order."""
    taken, left = [], []
    for group in groups:
        fits = group.size <= size
        (taken if fits else left).append(group)
        size -= group.size if fits else 0
    return taken, left
