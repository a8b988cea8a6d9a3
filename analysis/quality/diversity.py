"""How varied a set of documents is."""

import numpy as np

from analysis.quality.words import Words, distinct, runs_of


def distinct_runs(words: Words, n: int, at_words: int) -> float:
    """Different runs of ``n`` words as a share of all, in the first documents that make ``at_words`` words: distinct-n.

    Only sets of as many words can be compared: the share falls with the number of words (Li et al. 2016, "A
    diversity-promoting objective function for neural conversation models"). NaN without a run. Cost O(T log T).
    """
    documents = int(np.searchsorted(words.offsets, at_words, side="right")) - 1
    hashes = runs_of(words.take(np.arange(documents)), n).hashes
    return distinct(hashes).size / hashes.size if hashes.size else float("nan")
