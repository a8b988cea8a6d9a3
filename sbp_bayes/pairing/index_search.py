"""Approximate neighbours by a faiss index, for more documents than an exact search can compare, and what it misses.

Shapes: N documents, D width, k neighbours.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sbp_bayes.errors import UserError
from sbp_bayes.pairing.neighbours import Neighbours, best_others, exact_top_k
from sbp_bayes.progress import Progress
from sbp_bayes.seeds import numpy_generator

if TYPE_CHECKING:
    import faiss

BLOCK = 16384  # queries searched at once
REFINED = 10  # candidates whose exact scores are computed, for each neighbour asked for
SAMPLE = 1000  # documents whose exact neighbours the recall is told from
TOLERANCE = 1e-5  # of a score: what float32 sums in another order differ by


def factory_for(n: int, width: int, training: int = 0) -> str:
    """IVF{~2 sqrt N},PQ{D/2}x4fsr,RFlat: a few lists are scanned by 4-bit codes, and the best scored exactly.

    Up to 64 dimensions a code each (PQ{D}): two of them in 4 bits tell too little there (10 neighbours of 2 million
    even unit vectors, D 16, nprobe 64: recall 0.72 with 8 codes and 0.98 with 16, at 1.3 times the time).
    training: vectors that the lists' centres are found from, where they are fewer; k-means wants 40 of them a list.
    """
    lists = max(1, min(2 ** round(np.log2(2 * n**0.5)), (training or n) // 40))
    return f"IVF{lists},PQ{width if width <= 64 else width // 2}x4fsr,RFlat"


def build_index(vectors: np.ndarray, factory: str = "auto", nprobe: int = 128) -> "faiss.Index":
    """An index by inner product, trained on (a sample of) ``vectors`` (N, D) float32 and holding them all.

    UserError: a factory string that faiss doesn't understand, or that the vectors don't fit.
    """
    index = trained_index(vectors, factory, nprobe)
    index.add(vectors)
    return index


def trained_index(vectors: np.ndarray, factory: str = "auto", nprobe: int = 128, documents: int = 0) -> "faiss.Index":
    """An empty index trained on ``vectors`` (N, D) float32, to hold ``documents`` in the end (0: N)."""
    import faiss

    n = documents or len(vectors)
    factory = factory_for(n, vectors.shape[1], min(n, len(vectors))) if factory == "auto" else factory
    try:
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f'pairing.index = "{factory}": faiss refuses it ({reason})') from error
    lists = faiss.try_extract_index_ivf(index)
    if lists is not None:
        lists.nprobe = min(nprobe, lists.nlist)
    if isinstance(index, faiss.IndexRefine):
        index.k_factor = REFINED
    return index


def nearest_by_index(vectors: np.ndarray, k: int, factory: str = "auto", nprobe: int = 128) -> Neighbours:
    """About the k documents of the largest inner product with each, other than itself; equal scores by index.

    vectors: (N, D) float32. Memory O(N D) twice over.
    """
    index = build_index(vectors, factory, nprobe)
    if _is_flat(index):
        return best_others(*_list_by_list(index, vectors, k + 1), np.arange(len(vectors)), k)
    scores = np.empty((len(vectors), k), dtype=np.float32)
    indices = np.empty((len(vectors), k), dtype=np.int64)
    with Progress("nearest neighbours", len(vectors), "documents") as progress:
        for start in range(0, len(vectors), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(vectors)))
            found = best_others(*index.search(vectors[rows], k + 1), rows, k)
            scores[rows], indices[rows] = found.scores, found.indices
            progress.advance(rows.size)
    return Neighbours(indices, scores)


def _is_flat(index: "faiss.Index") -> bool:
    import faiss

    return type(faiss.downcast_index(index)) is faiss.IndexIVFFlat


def _list_by_list(index: "faiss.Index", queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """A search that compares each list with all the queries that probe it: one product of matrices a list."""
    from faiss.contrib.big_batch_search import big_batch_search

    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
        return big_batch_search(index, queries, k, method="knn_function", verbose=0)


def recall(parts: Sequence[np.ndarray], found: Neighbours, seed: int = 0, sample: int = SAMPLE) -> dict:
    """The share of the k exact neighbours that ``found`` has, over ``sample`` documents: recall, its standard error,
    k and rows. A neighbour as similar as the k-th counts, so that ties don't.

    parts: the vectors (rows, D) float32 that the search was of, in document order, in memory one after another.
    """
    n, k = found.indices.shape
    rows = np.sort(numpy_generator("recall", seed).choice(n, min(sample, n), replace=False))
    firsts = np.cumsum([0] + [len(part) for part in parts])
    where = np.searchsorted(firsts, rows, side="right") - 1
    queries = np.stack([parts[p][row - firsts[p]] for p, row in zip(where, rows, strict=True)]).astype(np.float32)
    exact = Neighbours(np.zeros((rows.size, 0), dtype=np.int64), np.zeros((rows.size, 0), dtype=np.float32))
    for part, first in zip(parts, firsts, strict=False):
        scores, places = exact_top_k(queries, np.asarray(part, dtype=np.float32), min(k + 1, len(part)))
        scores = np.concatenate([exact.scores, scores], axis=1)
        exact = best_others(scores, np.concatenate([exact.indices, places + first], axis=1), rows, k)
    wanted = np.isfinite(exact.scores).sum(axis=1)
    last = np.take_along_axis(exact.scores, np.maximum(wanted - 1, 0)[:, None], 1)
    hits = (found.scores[rows] >= last - TOLERANCE).sum(axis=1)
    share = np.minimum(hits, wanted) / np.maximum(wanted, 1)
    return {
        "k": k,
        "rows": int(rows.size),
        "recall": float(share.mean()),
        "se": float(share.std(ddof=1) / rows.size**0.5) if rows.size > 1 else None,
    }
