"""Documents as hashed words, and the runs of n words in them, n growing one by one.

Hashes are of the words themselves, so that runs of different corpora can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sbp_bayes.documents.offsets import offsets_of
from sbp_bayes.pairing.terms import words_of

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Words:
    """hashes (T,) uint64 of all words one after another; document i is hashes[offsets[i]:offsets[i + 1]]."""

    hashes: np.ndarray
    offsets: np.ndarray

    @property
    def documents(self) -> int:
        return self.offsets.size - 1

    @property
    def lengths(self) -> np.ndarray:
        """Words of each document, (N,) int64."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> "Words":
        """The documents ``rows`` (M,), in that order, repeats allowed."""
        lengths = self.lengths[rows]
        offsets = offsets_of(lengths)
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Words(self.hashes[places], offsets)


def hashed_words(texts: Sequence[str]) -> Words:
    """The words of texts as pairing reads them (`sbp_bayes.pairing.terms`)."""
    terms = words_of([texts])
    return Words(terms.hashes[terms.ids], terms.offsets)


def distinct(hashes: np.ndarray) -> np.ndarray:
    """The different hashes, ascending; on millions faster than NumPy's own, which puts them into a table."""
    ordered = np.sort(hashes)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if hashes.size else hashes


class Runs:
    """Runs of n words that begin at chosen places: ``longer`` adds a word to each, ``keep`` drops some.

    n: words of a run, 0 at first; hashes (R,) uint64; owners (R,): the document of each. A document of fewer than n
    words has no run of n.
    """

    def __init__(self, words: Words):
        self.words, self.n = words, 0
        self.owners = np.repeat(np.arange(words.documents), words.lengths)
        self._starts = np.arange(words.hashes.size)
        self.hashes = np.zeros(words.hashes.size, dtype=np.uint64)

    def longer(self) -> None:
        """One word more; runs that would cross the end of their document are dropped."""
        self.keep(self._starts + self.n < self.words.offsets[1:][self.owners])
        # An odd number for every word, so that no word can vanish from the sum.
        self.hashes = self.hashes * MULTIPLIER + (self.words.hashes[self._starts + self.n] | np.uint64(1))
        self.n += 1

    def keep(self, chosen: np.ndarray) -> None:
        """Go on with the chosen runs (R,) bool."""
        self.owners, self._starts, self.hashes = self.owners[chosen], self._starts[chosen], self.hashes[chosen]


def runs_of(words: Words, n: int) -> Runs:
    """All runs of ``n`` words."""
    runs = Runs(words)
    for _ in range(n):
        runs.longer()
    return runs
