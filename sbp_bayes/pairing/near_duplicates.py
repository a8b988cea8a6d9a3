"""Near-duplicates: two documents that share a run of n terms.

A pair of near-duplicates would teach the synthesizer to copy, so such pairs are dropped (the paper uses n = 13).
"""

import numpy as np
import scipy.sparse as sparse

from sbp_bayes.pairing.terms import Terms

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


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
    """Which of ``pairs`` (M, 2) are near-duplicates: (M,) bool. Cost O(n * terms + M); all False for n = 0."""
    if n == 0 or not len(pairs) or not terms.ids.size:
        return np.zeros(len(pairs), dtype=bool)
    hashes, owners = shingles(terms, n)
    _, columns, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    shared = counts[columns] > 1  # a shingle seen once in the corpus can't be in two documents
    shape = (terms.documents, counts.size)
    values = np.ones(int(shared.sum()), dtype=np.int32)
    has = sparse.csr_matrix((values, (owners[shared], columns[shared])), shape=shape)
    return np.asarray(has[pairs[:, 0]].multiply(has[pairs[:, 1]]).sum(axis=1)).ravel() > 0
