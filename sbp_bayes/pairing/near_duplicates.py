"""Near-duplicates: two documents that share a run of n terms, or too large a part of all their runs.

A pair of near-duplicates would teach the synthesizer to copy, so such pairs are dropped (the paper drops those that
share any run of n = 13). Shapes: N documents, M pairs.
"""

import numpy as np
import scipy.sparse as sparse

from sbp_bayes.pairing.terms import Terms

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
PAIRS_AT_ONCE = 1 << 18


def shingles(terms: Terms, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of every run of ``n`` terms, and the document of each: two arrays, uint64 and int64.

    A document shorter than n has one shingle, the whole of it; an empty one has none. Cost and memory O(n * terms).
    """
    assert n >= 1, n
    lengths = terms.lengths
    hashes = terms.hashes[terms.ids]
    owners = np.repeat(np.arange(terms.documents), lengths)
    ends = terms.offsets[1:][owners]
    position = np.arange(hashes.size)
    rolling = np.zeros(hashes.size, dtype=np.uint64)
    for j in range(n):
        inside = position + j < ends
        index = np.minimum(position + j, hashes.size - 1)
        rolling = rolling * MULTIPLIER + np.where(inside, hashes[index] | np.uint64(1), np.uint64(0))
    # A run is whole, or is the whole of a short document, which starts where that document starts.
    whole = (position + n <= ends) | (position == terms.offsets[:-1][owners])
    return rolling[whole], owners[whole]


def share_a_shingle(terms: Terms, pairs: np.ndarray, n: int) -> np.ndarray:
    """Which of ``pairs`` (M, 2) have a run of ``n`` terms in common: (M,) bool. All False for n = 0."""
    if n == 0 or not len(pairs) or not terms.ids.size:
        return np.zeros(len(pairs), dtype=bool)
    return common_shingles(terms, pairs, n)[0] > 0


def containment_and_jaccard(terms: Terms, pairs: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """How much of their sets of runs of ``n`` terms the two documents of each pair share: two (M,) float64.

    Containment: |A and B| / min(|A|, |B|); Jaccard: |A and B| / |A or B| (Broder 1997). An empty document shares 0.
    """
    if not len(pairs) or not terms.ids.size:
        return np.zeros(len(pairs)), np.zeros(len(pairs))
    common, sizes = common_shingles(terms, pairs, n)
    first, second = sizes[pairs[:, 0]], sizes[pairs[:, 1]]
    smaller, union = np.minimum(first, second), first + second - common
    return common / np.maximum(smaller, 1), common / np.maximum(union, 1)


def common_shingles(terms: Terms, pairs: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """How many different runs of ``n`` terms each of ``pairs`` (M, 2) has in common, and how many each document has:
    (M,) and (N,) int64. Time O(n * terms + runs of the pairs' documents), memory O(n * terms).
    """
    hashes, owners = shingles(terms, n)
    _, columns, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    shared = counts[columns] > 1  # a run seen once in the corpus can't be in two documents
    shape = (terms.documents, counts.size)
    values = np.ones(int(shared.sum()), dtype=np.int32)
    has = sparse.csr_matrix((values, (owners[shared], columns[shared])), shape=shape)
    has.data[:] = 1  # a set: a run that a document repeats counts once
    sizes = np.bincount(owners[~shared], minlength=terms.documents) + np.diff(has.indptr)
    common = np.empty(len(pairs), dtype=np.int64)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        some = pairs[start : start + PAIRS_AT_ONCE]
        both = has[some[:, 0]].multiply(has[some[:, 1]])
        common[start : start + len(some)] = np.asarray(both.sum(axis=1)).ravel()
    return common, sizes
