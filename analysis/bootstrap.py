"""Intervals over seeds: a paired bootstrap whose quantiles are widened for few seeds."""

from collections.abc import Callable

import numpy as np

from sbp_bayes.seeds import numpy_generator

RESAMPLES = 10_000
LEVEL = 0.95


def expanded_quantiles(n: int, level: float = LEVEL) -> tuple[float, float]:
    """Quantiles of a bootstrap distribution over ``n`` units that cover ``level``.

    The plain percentile interval is too short for small n: it replaces Student's t by the normal and the unbiased
    variance by the biased one. Taking the quantile Phi(-sqrt(n / (n - 1)) t_{n-1}) repairs both to first order
    (expanded percentile interval: Hesterberg 2015, "What teachers should know about the bootstrap"). With three units
    it is the whole range of the resamples, and even that covers a mean only three times in four.
    """
    from scipy.stats import norm, t

    if n < 2:
        raise ValueError(f"an interval needs at least 2 units, not {n}")
    low = float(norm.cdf(np.sqrt(n / (n - 1)) * t.ppf((1 - level) / 2, n - 1)))
    return low, 1 - low


def paired_bootstrap(
    columns: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[np.ndarray, float, float]:
    """Resample units (seeds) with replacement, all columns of a unit together.

    columns: (n, k), one row a unit; statistic: column means (R, k) -> (R,).
    Returns the statistic on each resample (R,) and the bounds of its 95 % expanded-percentile interval. A resample
    where the statistic is undefined (NaN) widens the interval to infinity on both sides if such resamples matter.
    """
    n = len(columns)
    picks = numpy_generator("bootstrap", seed).integers(0, n, size=(resamples, n))
    values = statistic(columns[picks].mean(axis=1))
    low, high = expanded_quantiles(n)
    below = np.where(np.isnan(values), -np.inf, values)
    above = np.where(np.isnan(values), np.inf, values)
    return values, float(_quantile(below, low)), float(_quantile(above, high))


def _quantile(values: np.ndarray, level: float) -> float:
    """An order statistic: no interpolation, so that infinities stay infinities and never become NaN."""
    return np.quantile(values, level, method="inverted_cdf")
