"""Exact nearest neighbours by inner product of unit vectors: a self-join that leaves out the document itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse

from sbp_bayes.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BLOCK_SCORES = 1 << 24
"""Scores held at once by the searches in blocks: 64 MB of float32 (and twice that while a block is multiplied)."""
SPARE = 8


@dataclass(frozen=True)
class Neighbours:
    """indices: (N, k) int64, best first, -1 where there are fewer; scores: (N, k) float32, -inf there."""

    indices: np.ndarray
    scores: np.ndarray


def nearest(vectors: np.ndarray | sparse.csr_matrix, k: int, device: "torch.device | str" = "cpu") -> Neighbours:
    """The k documents of the largest inner product with each document, other than itself; equal scores by index.

    Dense: exact search, O(N^2 D) time, O(N k) memory, by faiss or on a GPU by `top_k`. Sparse: blocks of
    rows times the whole, O(sum over terms of df^2) time, O(block * N) memory, on the CPU; documents that share no term
    are no neighbours.
    """
    assert k >= 1, k
    if sparse.issparse(vectors):
        return _nearest_sparse(vectors, k)
    return _nearest_dense(vectors, k) if str(device).startswith("cpu") else _nearest_on(device, vectors, k)


def _nearest_dense(vectors: np.ndarray, k: int) -> Neighbours:
    n = len(vectors)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    return best_others(*exact_top_k(vectors, vectors, min(k + 1, n)), np.arange(n), k)


def exact_top_k(queries: np.ndarray, keys: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`top_k` of float32 arrays on the CPU, by faiss: scores (M, k) float32 and indices (M, k) int64, k up to N."""
    import faiss
    import torch

    wide = min(k + SPARE, len(keys))
    scores, indices = faiss.knn(queries, keys, wide, metric=faiss.METRIC_INNER_PRODUCT)
    order = np.lexsort((indices, -scores))
    scores, indices = np.take_along_axis(scores, order, 1), np.take_along_axis(indices, order, 1)
    # Where the tie at the last place may go on beyond what was found, faiss has listed any of those that tie.
    tied = np.flatnonzero(scores[:, k - 1] == scores[:, -1]) if wide < len(keys) else np.zeros(0, dtype=np.int64)
    scores, indices = scores[:, :k], indices[:, :k]
    if tied.size:
        found = _top_k_in_blocks(torch.from_numpy(queries[tied]), torch.from_numpy(keys), k, others=False)
        scores[tied], indices[tied] = (part.numpy() for part in found)
    return scores, indices


def best_others(scores: np.ndarray, indices: np.ndarray, rows: np.ndarray, k: int) -> Neighbours:
    """The k best of what was found for the documents ``rows`` (M,), without themselves, equal scores by index.

    scores, indices: (M, K), in any order, -1 where there is none.
    """
    scores = np.where((indices == rows[:, None]) | (indices < 0), -np.inf, scores)
    order = np.lexsort((indices, -scores))[:, :k]
    return _padded(np.take_along_axis(indices, order, 1), np.take_along_axis(scores, order, 1), k)


def _nearest_on(device: "torch.device | str", vectors: np.ndarray, k: int) -> Neighbours:
    import torch

    everything = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(device)
    scores, indices = top_k(everything, everything, k, others=True)
    return Neighbours(indices.cpu().numpy(), scores.cpu().numpy())


def top_k(queries: "Tensor", keys: "Tensor", k: int, others: bool = False) -> tuple["Tensor", "Tensor"]:
    """The k keys of the largest inner product with each query: scores (M, k) float32 and indices (M, k) int64.

    queries (M, D), keys (N, D) of one type, bfloat16 or float32, products summed in float32. Best first, equal scores
    by index; -inf and -1 where there are fewer. others: query i is key i, no neighbour of its own. A key whose product
    is NaN is no neighbour either.
    """
    from sbp_bayes import kernels

    if kernels.serve("cosine_top_k", queries):
        from sbp_bayes.kernels import cosine_top_k as kernel

        if k <= kernel.LARGEST:
            return kernel.cosine_top_k(queries, keys, k, others)
    return _top_k_in_blocks(queries, keys, k, others)


def _top_k_in_blocks(queries: "Tensor", keys: "Tensor", k: int, others: bool) -> tuple["Tensor", "Tensor"]:
    """`top_k` by blocks of all scores."""
    import torch

    found = min(k, len(keys))
    all_scores = torch.full((len(queries), k), -torch.inf, device=queries.device)
    all_indices = torch.full((len(queries), k), -1, device=queries.device)
    queries, keys = queries.float(), keys.float()
    for rows in torch.arange(len(queries), device=queries.device).split(max(1, BLOCK_SCORES // max(1, len(keys)))):
        block = queries[rows] @ keys.T
        block.masked_fill_(block.isnan(), -torch.inf)
        if others:
            block[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
        scores, indices = block.topk(found, dim=1)
        # Of keys that tie at the last place topk takes any. Rows that have too many of them are sorted whole.
        tied = ((block >= scores[:, -1:]).sum(1) > found).nonzero()[:, 0]
        if len(tied):
            indices[tied] = block[tied].sort(dim=1, descending=True, stable=True).indices[:, :found]
        indices = indices.sort(dim=1).values
        scores, order = block.gather(1, indices).sort(dim=1, descending=True, stable=True)
        all_scores[rows, :found], all_indices[rows, :found] = scores, indices.gather(1, order)
    return all_scores, all_indices.masked_fill(all_scores == -torch.inf, -1)


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
