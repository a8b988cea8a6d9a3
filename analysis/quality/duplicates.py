"""Documents among N samples that an earlier one has said already."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sbp_bayes.documents.copies import Digests
from sbp_bayes.documents.near_copies import near_copies

BATCH = 4096


def exact_duplicates(texts: Sequence[str]) -> np.ndarray:
    """Which texts equal an earlier one but for white space: (N,) bool. The share grows with N. Cost O(N log N)."""
    digests = Digests()
    for text in texts:
        digests.add(" ".join(text.split()))
    return digests.first() != np.arange(len(texts))


def near_duplicates(texts: Sequence[str], threshold: float, n: int) -> np.ndarray:
    """Which texts have ``threshold`` or more of their sets of runs of ``n`` words in common with an earlier one.

    (N,) bool, by Jaccard similarity; MinHash misses a pair that similar with a chance of at most 0.02. Cost O(words).
    """
    batches = [list(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    with tempfile.TemporaryDirectory() as scratch:
        twins, _ = near_copies(batches, len(texts), threshold, n, Path(scratch))
    return twins != np.arange(len(texts))
