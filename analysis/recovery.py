"""How much of the oracle's advantage over repetition an arm recovers, over paired seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import paired_bootstrap


@dataclass(frozen=True)
class Interval:
    """An estimate over ``n`` seeds with its 95 % interval; ``low`` and ``high`` are None where n < 2.

    estimate: NaN where the quantity is undefined; se: standard deviation of the bootstrap distribution, or None.
    """

    estimate: float
    se: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def defined(self) -> bool:
        return math.isfinite(self.estimate)


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean over seeds with a bootstrap interval."""
    return _interval(np.asarray(values, dtype=float)[:, None], lambda means: means[:, 0])


def gain(losses: Mapping[str, Sequence[float]], arm: str, baseline: str) -> Interval:
    """Nats by which ``arm`` is below ``baseline``, seed by seed.

    losses: subject -> losses over seeds, the same seeds in the same order for all.
    """
    return mean_interval(np.asarray(losses[baseline], dtype=float) - np.asarray(losses[arm], dtype=float))


def recovered_share(
    losses: Mapping[str, Sequence[float]],
    arm: str,
    baseline: str = "repetition",
    oracle: str = "oracle",
    minus: str | None = None,
) -> Interval:
    """(baseline - arm) / (baseline - oracle), the ratio of means over seeds; with ``minus``, the share of ``arm``
    less the share of ``minus``, which is (minus - arm) / (baseline - oracle).

    Undefined (NaN) where the oracle's own gap is not above 0: its interval over seeds includes 0, or with one seed the
    gap itself is not positive. A share of nothing means nothing; read the gains in nats there.
    """
    start = np.asarray(losses[baseline if minus is None else minus], dtype=float)
    gains = start - np.asarray(losses[arm], dtype=float)
    gaps = np.asarray(losses[baseline], dtype=float) - np.asarray(losses[oracle], dtype=float)
    gap = mean_interval(gaps)
    if not (gap.low if gap.low is not None else gap.estimate) > 0:
        return Interval(math.nan, None, None, None, len(gaps))
    return _interval(np.stack([gains, gaps], axis=1), _ratio)


def _ratio(means: np.ndarray) -> np.ndarray:
    """(R, 2) -> (R,); NaN where the denominator is not positive."""
    return np.divide(means[:, 0], means[:, 1], out=np.full(len(means), np.nan), where=means[:, 1] > 0)


def _interval(columns: np.ndarray, statistic) -> Interval:
    n = len(columns)
    estimate = float(statistic(columns.mean(axis=0, keepdims=True))[0])
    if n < 2:
        return Interval(estimate, None, None, None, n)
    values, low, high = paired_bootstrap(columns, statistic)
    finite = values[np.isfinite(values)]
    return Interval(estimate, float(finite.std()) if len(finite) else None, low, high, n)
