"""Near-duplicates of a corpus in linear time: MinHash signatures in bands, and an exact check of what they propose.

Signatures: Broder (1997), On the resemblance and containment of documents; bands: Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3.4. Two documents of Jaccard similarity s meet in one of b bands of r hashes with
probability 1 - (1 - s^r)^b; those that meet are compared by their whole sets of shingles.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import xxhash

from sbp_bayes.documents.offsets import offsets_of
from sbp_bayes.pairing.minhash import signatures
from sbp_bayes.pairing.near_duplicates import MULTIPLIER, shingles
from sbp_bayes.pairing.terms import WORD, Terms

HASHES = 128
FOUND = 0.98
"""Chance that a pair just as similar as the threshold meets in some band."""


def bands_for(threshold: float) -> tuple[int, int]:
    """Bands b and hashes a band r of at most 128 hashes: the largest r that finds the threshold with a chance of 0.98.

    A larger r proposes fewer pairs that the check then refuses.
    """
    for r in range(16, 0, -1):
        b = HASHES // r
        if 1 - (1 - threshold**r) ** b >= FOUND:
            return b, r
    return HASHES, 1


def near_copies(
    batches: Iterable[list[str]], documents: int, threshold: float, n: int, scratch: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Which documents nearly repeat an earlier one that is kept, by the Jaccard similarity of their runs of n words.

    batches: ``documents`` texts in order. Returns the kept twin of each, (N,) int64, its own number where it is kept,
    and their similarity, (N,) float32. A document of fewer than n words has one shingle, the whole; one without words
    is kept. What is dropped has ``threshold`` or more in common with its twin, always; a pair that similar is missed
    with a chance of at most 0.02. Cost O(words); memory some 60 bytes a document and 8 a proposed pair; on disk, in
    ``scratch``, 8 bytes a word and 8 a band and document.
    """
    assert 0 < threshold <= 1, threshold
    twins, similarity = np.arange(documents), np.ones(documents, dtype=np.float32)
    sets = _ShingleSets(scratch, documents)
    pairs = _proposed(_write_signatures(batches, documents, threshold, n, sets, scratch))
    for j, i in zip(*np.divmod(pairs, max(documents, 1)), strict=True):
        # In order of j, so that i < j is settled: where i was dropped, j is compared with what i repeats.
        kept = twins[i]
        if kept == twins[j]:
            continue
        share = sets.jaccard(kept, j)
        if share >= threshold and (twins[j] == j or share > similarity[j]):
            twins[j], similarity[j] = kept, share
    return twins, similarity


class _ShingleSets:
    """The sets of shingle hashes of all documents, one after another in a file."""

    def __init__(self, folder: Path, documents: int):
        self.path = folder / "shingles.u64"
        self.path.write_bytes(b"")
        self.sizes = np.zeros(documents, dtype=np.int64)
        self._opened: tuple[np.ndarray, np.ndarray] | None = None

    def append(self, first: int, sets: list[np.ndarray]) -> None:
        self.sizes[first : first + len(sets)] = [found.size for found in sets]
        with self.path.open("ab") as file:
            file.write(np.concatenate([*sets, np.zeros(0, np.uint64)]).tobytes())

    def of(self, i: int) -> np.ndarray:
        if self._opened is None:
            offsets = offsets_of(self.sizes)
            self._opened = offsets, np.memmap(self.path, dtype=np.uint64, mode="r")
        offsets, hashes = self._opened
        return hashes[offsets[i] : offsets[i + 1]]

    def jaccard(self, i: int, j: int) -> float:
        common = np.intersect1d(self.of(i), self.of(j), assume_unique=True).size
        return common / (int(self.sizes[i]) + int(self.sizes[j]) - common)


def _write_signatures(
    batches: Iterable[list[str]], documents: int, threshold: float, n: int, sets: _ShingleSets, scratch: Path
) -> Iterator[np.ndarray]:
    """The band hashes of all documents, (N,) uint64 a band, from a file; fills ``sets`` on the way."""
    bands, rows = bands_for(threshold)
    keys = np.memmap(scratch / "bands.u64", dtype=np.uint64, mode="w+", shape=(bands, max(documents, 1)))
    first = 0
    for texts in batches:
        terms = _terms_of(texts)
        found, owners = shingles(terms, n)
        starts = np.searchsorted(owners, np.arange(1, len(texts)))
        sets.append(first, [np.unique(part) for part in np.split(found, starts)])
        here = slice(first, first + len(texts))
        least = signatures(terms, n, bands * rows).reshape(len(texts), bands, rows)
        keys[:, here] = 0
        for r in range(rows):
            keys[:, here] = keys[:, here] * MULTIPLIER + least[:, :, r].T
        empty = first + np.flatnonzero(terms.lengths == 0)
        keys[:, empty] = empty  # a document without words meets no other
        first += len(texts)
    assert first == documents, (first, documents)
    return (np.array(keys[band, :documents]) for band in range(bands))


def _terms_of(texts: list[str]) -> Terms:
    """The words of each text, as the pairs' filter reads them."""
    words = [WORD.findall(text.lower()) for text in texts]
    known: dict[str, int] = {}
    ids = np.array([known.setdefault(word, len(known)) for found in words for word in found], dtype=np.int64)
    hashes = np.array([xxhash.xxh64_intdigest(word.encode()) for word in known], dtype=np.uint64)
    return Terms(ids, np.cumsum([0] + [len(found) for found in words]), hashes)


def _proposed(bands: Iterable[np.ndarray]) -> np.ndarray:
    """Pairs to check, j * N + i with i < j, sorted: each document with the first of its band, and with the one before.

    Both, so that chains are found while a band of m equals gives fewer than 2 m pairs, not m^2.
    """
    pairs = np.zeros(0, dtype=np.int64)
    for keys in bands:
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
        member, before = order[same], order[same - 1]
        run = np.arange(keys.size)
        run[same] = 0
        first = order[np.maximum.accumulate(run)[same]] if same.size else before
        pairs = np.union1d(pairs, np.concatenate([member * keys.size + before, member * keys.size + first]))
    return pairs
