"""Which rows of a corpus repeat an earlier row, told by 128-bit digests: 16 bytes a document, not its text."""

from array import array

import numpy as np
import xxhash

COPY, TWICE = "exact copies", "ids that are there already"  # why a document is left out


class Digests:
    """128-bit digests of strings in the order they were added."""

    def __init__(self) -> None:
        self._high, self._low = array("Q"), array("Q")

    def add(self, text: str) -> None:
        digest = xxhash.xxh3_128_intdigest(text.encode())
        self._high.append(digest >> 64)
        self._low.append(digest & (1 << 64) - 1)

    def __len__(self) -> int:
        return len(self._high)

    def first(self) -> np.ndarray:
        """For each row the first row with the same string: (N,) int64, its own number where it is the first.

        O(N log N) time; memory 40 bytes a row. Two different strings are taken for one with a chance of N^2 / 2^129.
        """
        return first_of(*self.arrays)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The digests' high and low halves: two (N,) uint64. Nothing can be added after."""
        high, low = (np.frombuffer(part, dtype=np.uint64) for part in (self._high, self._low))
        return high, low


def first_of(*keys: np.ndarray) -> np.ndarray:
    """For each row of the parallel arrays ``keys`` (N,) the first row that is equal in all of them: (N,) int64."""
    n = keys[0].size
    if not n:
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort(keys)  # stable, so that the first of a run of equals is the earliest
    new = np.zeros(n, dtype=bool)
    new[0] = True
    for key in keys:
        ordered = key[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    first = np.empty(n, dtype=np.int64)
    first[order] = order[np.maximum.accumulate(np.where(new, np.arange(n), 0))]
    return first
