"""Which documents may be partners: the three rules, each giving candidate pairs (d1, d2, score)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse

from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.index_search import factory_for, nearest_by_index, recall
from sbp_bayes.pairing.neighbours import Neighbours, nearest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Candidates:
    """d1, d2: (M,) int64 document indices, grouped by d1, best score first; score: (M,) float32, NaN without one."""

    d1: np.ndarray
    d2: np.ndarray
    score: np.ndarray


def same_concept(concepts: np.ndarray, per_document: int, rng: np.random.Generator) -> Candidates:
    """For each document up to ``per_document`` others of its concept, a uniform choice without replacement.

    concepts: (N,) int64, -1 for a document without a concept, which gets no partner. Both orders of a pair may come.
    Cost O(N log N + N * per_document^2).
    """
    order = np.argsort(concepts, kind="stable")
    starts = np.flatnonzero(np.diff(concepts[order], prepend=np.iinfo(np.int64).min))
    d1, d2 = [], []
    for members in np.split(order, starts[1:]):
        if members.size < 2 or concepts[members[0]] < 0:
            continue
        chosen = _distinct(members.size, members.size - 1, min(per_document, members.size - 1), rng)
        # Offsets 0..g-2 count from the document's successor around the circle of its group: never itself.
        position = (np.arange(members.size)[:, None] + 1 + chosen) % members.size
        d1.append(np.repeat(members, chosen.shape[1]))
        d2.append(members[position].ravel())
    return _unscored(_joined(d1), _joined(d2))


def uniform(n: int, counts: np.ndarray, rng: np.random.Generator) -> Candidates:
    """For document i, ``counts[i]`` uniformly random other documents, distinct. Cost O(sum of counts * max count)."""
    d1, d2 = [], []
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        partners = _distinct(rows.size, n - 1, min(int(count), n - 1), rng)
        d1.append(np.repeat(rows, partners.shape[1]))
        d2.append(((rows[:, None] + 1 + partners) % n).ravel())
    return _unscored(_joined(d1), _joined(d2))


def similar(
    vectors: np.ndarray | sparse.csr_matrix, config: PairingConfig, device: "torch.device | str" = "cpu"
) -> tuple[Candidates, dict]:
    """The ``config.top_k`` nearest documents of each, by cosine, and how they were searched.

    Exact, but for dense vectors of more than ``config.exact_below`` documents on a CPU, which a faiss index searches;
    what it misses is told from a sample (`index_search.recall`).
    """
    n = vectors.shape[0]
    k = min(config.top_k, max(n - 1, 1))
    if n > config.exact_below and not sparse.issparse(vectors) and str(device).startswith("cpu"):
        found = nearest_by_index(vectors, k, config.index, config.nprobe)
        factory = factory_for(n, vectors.shape[1]) if config.index == "auto" else config.index
        how = {"method": factory, "nprobe": config.nprobe, **recall([vectors], found)}
    else:
        found, how = nearest(vectors, k, device), {"method": "exact", "k": k}
    return as_candidates(found), how


def as_candidates(found: Neighbours) -> Candidates:
    """Each document with the neighbours that were found for it."""
    valid = found.indices >= 0
    d1 = np.broadcast_to(np.arange(len(valid))[:, None], valid.shape)
    # Rounding can lift the cosine of equal vectors above 1, and with it above every alpha.
    return Candidates(d1[valid], found.indices[valid], np.minimum(found.scores[valid], np.float32(1)))


def _distinct(rows: int, below: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """``size`` distinct integers of 0..below-1 for each row, every subset equally likely (Floyd): (rows, size)."""
    chosen = np.empty((rows, size), dtype=np.int64)
    for column, last in enumerate(range(below - size, below)):
        drawn = rng.integers(0, last + 1, size=rows)
        taken = (chosen[:, :column] == drawn[:, None]).any(axis=1)
        chosen[:, column] = np.where(taken, last, drawn)
    return chosen


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _unscored(d1: np.ndarray, d2: np.ndarray) -> Candidates:
    order = np.argsort(d1, kind="stable")
    return Candidates(d1[order], d2[order], np.full(d1.size, np.nan, dtype=np.float32))
