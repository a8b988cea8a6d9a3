"""A path through all documents whose neighbours are related: in-context pretraining (Shi et al. 2023, 2310.10638)."""

import numpy as np


def document_path(pairs: np.ndarray, documents: int) -> np.ndarray:
    """Every document once, (N,) int64: from each the path goes to a partner that it has not been to, and where there is
    none to a document with the fewest partners.

    pairs: (M, 2) document numbers, the best partners of a d1 first; documents: N. Cost O(N log N + M).
    """
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    starts = np.searchsorted(both[:, 0], np.arange(documents + 1))
    waiting = iter(np.argsort(np.diff(starts), kind="stable").tolist())
    visited = np.zeros(documents, dtype=bool)
    path = np.empty(documents, dtype=np.int64)
    at = -1
    for place in range(documents):
        partners = both[starts[at] : starts[at + 1], 1] if at >= 0 else both[:0, 1]
        fresh = partners[~visited[partners]]
        at = int(fresh[0]) if fresh.size else next(d for d in waiting if not visited[d])
        visited[at], path[place] = True, at
    return path
