"""Documents that repeat themselves."""

import numpy as np

from analysis.quality.words import Words, runs_of


def repeats_a_run(words: Words, n: int) -> np.ndarray:
    """Which documents hold the same run of ``n`` words twice (overlapping runs count): (N,) bool.

    With n = 13 the paper's post-filter and the repetition of its Table 2 (arXiv 2509.15248), in words. Cost O(n T).
    """
    runs = runs_of(words, n)
    order = np.lexsort((runs.hashes, runs.owners))
    owners, hashes = runs.owners[order], runs.hashes[order]
    again = (owners[1:] == owners[:-1]) & (hashes[1:] == hashes[:-1])
    return np.bincount(owners[1:][again], minlength=words.documents) > 0
