"""Exact nearest neighbours by inner product of unit vectors: a self-join that leaves out the document itself."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from sbp_bayes.progress import Progress

BLOCK_SCORES = 1 << 24
"""Scores held at once by the sparse search: 64 MB of float32 (and twice that while a block is multiplied)."""
SPARE = 8


@dataclass(frozen=True)
class Neighbours:
    """indices: (N, k) int64, best first, -1 where there are fewer; scores: (N, k) float32, -inf there."""

    indices: np.ndarray
    scores: np.ndarray


def nearest(vectors: np.ndarray | sparse.csr_matrix, k: int) -> Neighbours:
    """The k documents of the largest inner product with each document, other than itself; equal scores by index.

    Dense: faiss's exact search, O(N^2 D) time, O(N k) memory; where more than 8 vectors tie at the last place,
    which of them is listed is faiss's choice. Sparse: blocks of rows times the whole, O(sum over terms of df^2) time,
    O(block * N) memory; documents that share no term are no neighbours.
    """
    assert k >= 1, k
    return _nearest_sparse(vectors, k) if sparse.issparse(vectors) else _nearest_dense(vectors, k)


def _nearest_dense(vectors: np.ndarray, k: int) -> Neighbours:
    import faiss

    n = len(vectors)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    scores, indices = faiss.knn(vectors, vectors, min(k + 1 + SPARE, n), metric=faiss.METRIC_INNER_PRODUCT)
    scores = np.where((indices == np.arange(n)[:, None]) | (indices < 0), -np.inf, scores)
    order = np.lexsort((indices, -scores))[:, :k]
    return _padded(np.take_along_axis(indices, order, 1), np.take_along_axis(scores, order, 1), k)


def _nearest_sparse(vectors: sparse.csr_matrix, k: int) -> Neighbours:
    n = vectors.shape[0]
    indices = np.full((n, k), -1, dtype=np.int64)
    scores = np.full((n, k), -np.inf, dtype=np.float32)
    transposed = vectors.T.tocsr()
    block = max(1, BLOCK_SCORES // n)
    with Progress("nearest neighbours", n, "documents") as progress:
        for start in range(0, n, block):
            product = (vectors[start : start + block] @ transposed).tocsr()
            for r in range(product.shape[0]):
                row = slice(product.indptr[r], product.indptr[r + 1])
                found, values = _best(product.indices[row], product.data[row], start + r, k)
                indices[start + r, : found.size] = found
                scores[start + r, : found.size] = values
            progress.advance(product.shape[0])
    return Neighbours(indices, scores)


def _best(columns: np.ndarray, values: np.ndarray, self_index: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest positive values of one row, ties by column."""
    keep = (columns != self_index) & (values > 0)
    columns, values = columns[keep], values[keep]
    if columns.size > k:
        last = np.partition(values, values.size - k)[values.size - k]
        columns, values = columns[values >= last], values[values >= last]
    order = np.lexsort((columns, -values))[:k]
    return columns[order], values[order]


def _padded(indices: np.ndarray, scores: np.ndarray, k: int) -> Neighbours:
    missing = k - indices.shape[1]
    indices = np.pad(np.where(np.isinf(scores), -1, indices), ((0, 0), (0, missing)), constant_values=-1)
    scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
    return Neighbours(indices.astype(np.int64), scores.astype(np.float32))
