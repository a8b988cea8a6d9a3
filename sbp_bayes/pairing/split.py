"""Held-out pairs for early stopping: no document of theirs occurs in a training pair. Groups made of pairs."""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components

from sbp_bayes.errors import UserError
from sbp_bayes.seeds import numpy_generator


def split_pairs(pairs: np.ndarray, seed: int, share: float = 1 / 8) -> tuple[np.ndarray, np.ndarray]:
    """Split kept pairs (M, 2) into training and validation pairs, each (M', 2), by their documents.

    The documents are divided; training pairs have both ends in the larger part, validation pairs both in the smaller,
    which holds about ``share`` of the paired documents; pairs across are dropped. Documents that the pairs connect
    stay together where that group is small (at most a quarter of the held-out part), as headwords with two entries do;
    larger groups, as a world's concepts, are divided document by document. A pair of a document with itself would never
    lie across, so that copies would be too many in both parts: they are thinned as much as other pairs are. Cost
    O(M log M).
    UserError when either part would be empty.
    """
    documents, ends = np.unique(pairs, return_inverse=True)
    ends = ends.reshape(pairs.shape)
    n = documents.size
    graph = sparse.coo_matrix((np.ones(len(pairs), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    sizes = np.bincount(group)
    divided = sizes[group] > max(2.0, share * n / 4)
    group = np.where(divided, sizes.size + np.arange(n), group)

    labels, group = np.unique(group, return_inverse=True)
    order = numpy_generator("split pairs", seed).permutation(labels.size)
    filled = np.cumsum(np.bincount(group)[order])
    held_groups = order[: int(np.searchsorted(filled, share * n)) + 1]
    held = np.isin(group, held_groups)[ends]
    kept = _thinned(pairs, held, seed)
    train, validation = pairs[kept & ~held.any(axis=1)], pairs[kept & held.all(axis=1)]
    if not len(train) or not len(validation):
        raise UserError(
            f"{len(pairs)} pairs of {n} documents are too few to hold out {share:.3g} of the documents for early "
            f"stopping ({len(train)} training pairs, {len(validation)} validation pairs); "
            "raise corpus.real, or lower pairing.alpha"
        )
    return train, validation


def _thinned(pairs: np.ndarray, held: np.ndarray, seed: int) -> np.ndarray:
    """Which pairs (M,) stay: all of two documents, and of copies (d, d) as large a share, in each part, as of those
    pairs that have their d1 in it.

    held: (M, 2) whether d1 and d2 are held out.
    """
    copies = pairs[:, 0] == pairs[:, 1]
    kept = np.ones(len(pairs), dtype=bool)
    if not copies.any() or copies.all():
        return kept
    chance = numpy_generator("split copies", seed).random(len(pairs))
    for part in (held[:, 0], ~held[:, 0]):
        others = part & ~copies
        stay = float((held[others, 1] == held[others, 0]).mean()) if others.any() else 1.0
        kept[part & copies] = chance[part & copies] < stay
    return kept


def in_groups(pairs: np.ndarray, size: int) -> np.ndarray:
    """Groups (M', size) of a document d1 and ``size`` - 1 of its partners, each partner in one group, as they come.

    pairs: (M, 2). Partners left over at the end of a d1 are left out; size 2 gives the pairs back, sorted by d1.
    UserError where no document has partners enough.
    """
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    documents, starts, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    groups = counts // (size - 1)
    if not groups.any():
        raise UserError(
            f"synthesizer.group = {size}: no document has {size - 1} partners; raise pairing.pairs_per_document"
        )
    first = np.repeat(starts, groups) + (size - 1) * _places(groups)
    partners = pairs[first[:, None] + np.arange(size - 1), 1]
    return np.column_stack([np.repeat(documents, groups), partners])


def _places(counts: np.ndarray) -> np.ndarray:
    """0 .. counts[i] - 1 for each i, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
