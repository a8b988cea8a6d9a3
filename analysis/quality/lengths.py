"""Lengths of documents, in words."""

import numpy as np

QUANTILES = (0.05, 0.5, 0.95)


def length_quantiles(lengths: np.ndarray) -> dict[float, float]:
    """quantile -> words, of lengths (N,)."""
    return dict(zip(QUANTILES, np.quantile(lengths, QUANTILES).tolist(), strict=True))


def length_distance(lengths: np.ndarray, real: np.ndarray) -> float:
    """The largest difference between the distributions of two sets of lengths (Kolmogorov and Smirnov): 0 to 1."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(lengths, real, method="asymp").statistic)
