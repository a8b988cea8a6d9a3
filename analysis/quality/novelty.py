"""How much of a document is new: runs of n words that its seed document, or a whole corpus, does not have."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analysis.quality.estimate import Estimate, ratio
from analysis.quality.words import Runs, Words, distinct, hashed_words

LONGEST = 13  # words: the shingle of the paper's near-duplicate filters
LONGEST_COMMON = 64


@dataclass(frozen=True)
class Found:
    """Runs found elsewhere: counts (N, M) int64, runs of n = 1..M words of each document, repeats counted; lengths (N,)
    its words."""

    counts: np.ndarray
    lengths: np.ndarray

    @property
    def longest(self) -> np.ndarray:
        """The longest run found, in words, M at most: (N,) int64."""
        return (self.counts > 0).sum(axis=1)

    def copied(self, n: int = LONGEST) -> np.ndarray:
        """Which documents have a run of ``n`` words found elsewhere, or, where shorter, all of them: (N,) bool."""
        return (self.longest >= np.minimum(self.lengths, n)) & (self.lengths > 0)

    def novel(self, n: int, groups: np.ndarray | None = None) -> Estimate:
        """The share of runs of ``n`` words found nowhere; groups as in `estimate.ratio`."""
        wholes = np.maximum(self.lengths - n + 1, 0)
        return ratio(wholes - self.counts[:, n - 1], wholes, groups)


def found_in_own(d2: Words, d1: Words, longest: int = LONGEST_COMMON) -> Found:
    """What each document of ``d2`` has in common with the document of ``d1`` at the same place.

    Runs of up to ``longest`` words. Cost O(T log T) for each n up to the longest in common; most drop out at 3.
    """
    assert d2.documents == d1.documents, (d2.documents, d1.documents)
    ours, theirs = Runs(d2), Runs(d1)
    counts = np.zeros((d2.documents, longest), dtype=np.int64)
    for n in range(longest):
        ours.longer()
        theirs.longer()
        keys, known = _of_pair(ours), _of_pair(theirs)
        _, hits = _places(distinct(known), keys)
        if not hits.any():
            break
        # A longer run is in common only if its beginning is.
        theirs.keep(_places(distinct(keys[hits]), known)[1])
        ours.keep(hits)
        counts[:, n] = np.bincount(ours.owners, minlength=d2.documents)
    return Found(counts, d2.lengths)


def _of_pair(runs: Runs) -> np.ndarray:
    """Hashes that only runs of the same pair can share."""
    return runs.hashes ^ ((runs.owners + 1).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03))


def found_in_corpus(words: Words, batches: Iterable[list[str]], longest: int = LONGEST) -> Found:
    """What each document has in common with a whole corpus, given as batches of texts in one pass.

    Memory is the documents', not the corpus's: 9 bytes a word and n. Time O((T + corpus words) log T) for each n.
    """
    known = []
    runs = Runs(words)
    for _ in range(longest):
        runs.longer()
        known.append(distinct(runs.hashes))
    seen = [np.zeros(keys.size, dtype=bool) for keys in known]
    for texts in batches:
        theirs = Runs(hashed_words(texts))
        for keys, marks in zip(known, seen, strict=True):
            theirs.longer()
            places, hits = _places(keys, theirs.hashes)
            marks[places[hits]] = True
            theirs.keep(hits)
            if not hits.any():
                break
    counts = np.zeros((words.documents, longest), dtype=np.int64)
    runs = Runs(words)
    for n, (keys, marks) in enumerate(zip(known, seen, strict=True)):
        runs.longer()
        runs.keep(marks[_places(keys, runs.hashes)[0]])
        counts[:, n] = np.bincount(runs.owners, minlength=words.documents)
    return Found(counts, words.lengths)


def _places(keys: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each hash stands in sorted ``keys``, and whether it is there at all."""
    if not keys.size:
        return np.zeros(hashes.size, dtype=np.int64), np.zeros(hashes.size, dtype=bool)
    places = np.minimum(np.searchsorted(keys, hashes), keys.size - 1)
    return places, keys[places] == hashes
