"""Pairs spoilt on purpose, at known rates: what a synthesizer makes of wrong pairs and of near-duplicates."""

import numpy as np

from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.seeds import numpy_generator


def planted(
    d1: np.ndarray, d2: np.ndarray, kept: np.ndarray, documents: int, config: PairingConfig, seed: int
) -> np.ndarray:
    """``d2`` (M,) with some partners replaced, among the pairs ``kept`` (M,) bool.

    Each independently, with probability ``config.near_duplicate`` a pair becomes (d1, d1); of the rest, with
    probability ``config.wrong``, the partner becomes a document drawn evenly from all ``documents`` but d1: the law of
    `synthetic_worlds.pair_sampling.PairSampling`, with copies unedited.
    """
    if not (config.wrong or config.near_duplicate):
        return d2
    rng = numpy_generator("pairs", "planted", seed)
    copied = kept & (rng.random(d1.size) < config.near_duplicate)
    wrong = kept & ~copied & (rng.random(d1.size) < config.wrong)
    others = (d1 + 1 + rng.integers(0, documents - 1, d1.size)) % documents
    return np.where(copied, d1, np.where(wrong, others, d2))
