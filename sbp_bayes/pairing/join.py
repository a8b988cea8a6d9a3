"""Nearest neighbours of more documents than one process holds: shard against shard, then a merge for each query shard.

Vectors lie in shards, each one or several (rows, D) .npy files, all in document order. A task compares one query shard
with one index shard and writes the k best of each query as one file; a merge takes the best of a query shard's files.
Tasks are independent, whole or absent, and hold two shards at most, so that any engine can run them
(`sbp_bayes.engines`) and a killed one is all that is lost. S shards make S^2 tasks and then S merges.

block-Q-I.npy    (rows, k) of score and place within index shard I, best first
merged-Q.npy     (rows, k) of score and document, best first; the blocks of Q can go
index-I.faiss    of an approximate join: index shard I, in an index that was trained once (trained.faiss)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sbp_bayes.files import atomic_write, write_array
from sbp_bayes.pairing.index_search import trained_index
from sbp_bayes.pairing.neighbours import Neighbours, best_others, exact_top_k

FOUND = np.dtype([("score", "<f4"), ("place", "<i4")])
MERGED = np.dtype([("score", "<f4"), ("document", "<i8")])
ROWS = 1 << 16  # merged, or searched by an index, at once
TRAINING = 1 << 18  # vectors that an index is trained on
TRAINED = "trained.faiss"
Shard = tuple[Path, ...]


@dataclass(frozen=True)
class JoinBlock:
    """The task of one query shard against one index shard; index: that shard's faiss index, None: searched exactly."""

    queries: Shard
    keys: Shard
    file: Path
    k: int
    index: Path | None = None
    nprobe: int = 0

    @property
    def name(self) -> str:
        return self.file.stem

    def __call__(self) -> None:
        found = self._searched(_loaded(self.queries))
        block = np.empty(found.indices.shape, dtype=FOUND)
        block["score"], block["place"] = found.scores, found.indices
        write_array(self.file, block)

    def _searched(self, queries: np.ndarray) -> Neighbours:
        # A document is no neighbour of its own: only where both shards are one can it be found.
        places = np.arange(len(queries)) if self.queries == self.keys else np.full(len(queries), -1)
        if self.index is None:
            keys = queries if self.queries == self.keys else _loaded(self.keys)
            return best_others(*exact_top_k(queries, keys, min(self.k + 1, len(keys))), places, self.k)
        index = _opened(self.index, self.nprobe)
        parts = []
        for start in range(0, len(queries), ROWS):
            rows = slice(start, start + ROWS)
            found = index.search(queries[rows], self.k + 1)
            parts.append(best_others(*found, places[rows], self.k))
        return Neighbours(np.concatenate([p.indices for p in parts]), np.concatenate([p.scores for p in parts]))


@dataclass(frozen=True)
class MergeBlocks:
    """The task of merging the blocks of one query shard; firsts: the number of each index shard's first document."""

    blocks: tuple[Path, ...]
    firsts: tuple[int, ...]
    file: Path

    @property
    def name(self) -> str:
        return self.file.stem

    def __call__(self) -> None:
        blocks = [np.load(block, mmap_mode="r") for block in self.blocks]
        merged = np.empty(blocks[0].shape, dtype=MERGED)
        for start in range(0, len(merged), ROWS):
            rows = slice(start, start + ROWS)
            scores = np.concatenate([block[rows]["score"] for block in blocks], axis=1)
            documents = np.concatenate(
                [
                    np.where(block[rows]["place"] < 0, -1, block[rows]["place"] + np.int64(first))
                    for block, first in zip(blocks, self.firsts, strict=True)
                ],
                axis=1,
            )
            # Index shards stand in document order and each block breaks ties by place, so that a stable sort does too.
            order = np.argsort(-scores, axis=1, kind="stable")[:, : merged.shape[1]]
            merged["score"][rows] = np.take_along_axis(scores, order, 1)
            merged["document"][rows] = np.take_along_axis(documents, order, 1)
        write_array(self.file, merged)


@dataclass(frozen=True)
class TrainIndex:
    """The task of training the index of an approximate join on vectors from every shard."""

    shards: tuple[Shard, ...]
    file: Path
    index: str

    @property
    def name(self) -> str:
        return self.file.stem

    def __call__(self) -> None:
        sizes = [_rows(shard) for shard in self.shards]
        every = -(-sum(sizes) // TRAINING)
        files = [np.load(file, mmap_mode="r") for shard in self.shards for file in shard]
        vectors = np.concatenate([vectors[::every] for vectors in files]).astype(np.float32, copy=False)
        # Each shard is an index of its own: as many lists as serve the documents of one.
        _write_index(self.file, trained_index(vectors, self.index, documents=max(sizes)))


@dataclass(frozen=True)
class FillIndex:
    """The task of putting one shard into a copy of the trained index."""

    shard: Shard
    trained: Path
    file: Path

    @property
    def name(self) -> str:
        return self.file.stem

    def __call__(self) -> None:
        import faiss

        index = faiss.read_index(str(self.trained))
        for file in self.shard:
            index.add(_loaded((file,)))
        _write_index(self.file, index)


JoinTask = JoinBlock | MergeBlocks | TrainIndex | FillIndex


def join_tasks(
    shards: Sequence[Shard], folder: Path, k: int, index: str = "", nprobe: int = 128
) -> list[list[JoinTask]]:
    """The tasks of finding ``k`` neighbours of every document among all others, in rounds: those of one round are
    independent of each other and need all of the rounds before.

    shards: files of vectors in document order. index: empty for an exact join, which equals `neighbours.nearest`; else
    a faiss factory string or ``auto``, filled shard by shard and looked into at ``nprobe`` lists.
    """
    assert k >= 1 and shards, (k, shards)
    rounds: list[list[JoinTask]] = []
    indices: list[Path | None] = [None] * len(shards)
    if index:
        indices = [folder / f"index-{i:05d}.faiss" for i in range(len(shards))]
        trained = folder / TRAINED
        rounds.append([TrainIndex(tuple(shards), trained, index)])
        rounds.append([FillIndex(shard, trained, file) for shard, file in zip(shards, indices, strict=True)])
    places = range(len(shards))
    blocks = [[folder / f"block-{q:05d}-{i:05d}.npy" for i in places] for q in places]
    firsts = tuple(int(first) for first in np.cumsum([0] + [_rows(shard) for shard in shards])[:-1])
    # By index shard: a worker keeps the index of its last task open.
    pairs = [(q, i) for i in places for q in places]
    rounds.append([JoinBlock(shards[q], shards[i], blocks[q][i], k, indices[i], nprobe) for q, i in pairs])
    rounds.append([MergeBlocks(tuple(blocks[q]), firsts, merged_file(folder, q)) for q in places])
    return rounds


def joined(folder: Path, shards: int) -> Neighbours:
    """The neighbours that the tasks have found, of all documents: (N, k) in memory."""
    found = [np.load(merged_file(folder, q)) for q in range(shards)]
    return Neighbours(
        np.concatenate([part["document"] for part in found]), np.concatenate([part["score"] for part in found])
    )


def merged_file(folder: Path, q: int) -> Path:
    """Where the neighbours of query shard ``q`` are."""
    return folder / f"merged-{q:05d}.npy"


def _loaded(shard: Shard) -> np.ndarray:
    return np.concatenate([np.load(file) for file in shard]).astype(np.float32, copy=False)


def _rows(shard: Shard) -> int:
    return sum(len(np.load(file, mmap_mode="r")) for file in shard)


def _write_index(file: Path, index) -> None:
    import faiss

    atomic_write(file, lambda path: faiss.write_index(index, str(path)))


@lru_cache(maxsize=1)
def _opened(file: Path, nprobe: int):
    """One index stays open: a worker's next task often asks for the same index shard."""
    import faiss

    index = faiss.read_index(str(file))
    lists = faiss.try_extract_index_ivf(index)
    if lists is not None:
        lists.nprobe = min(nprobe, lists.nlist)
    return index
