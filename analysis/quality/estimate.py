"""A measured share or mean with its standard error, where documents come in groups that are not independent."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """value in the unit of the measure; se: its standard error, None where there is none; n: documents it rests on."""

    value: float
    se: float | None
    n: int


def mean(values: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
    """The mean of ``values`` (N,), numbers or truths, with the standard error of `ratio`."""
    return ratio(values, np.ones(len(values)), groups)


def ratio(parts: np.ndarray, wholes: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
    """Sum of ``parts`` over sum of ``wholes``, both (N,), one a document; NaN where the wholes are all 0.

    groups: (N,) int, documents of one group are dependent: here, those written from one seed document. The standard
    error is the delta method's over groups (cluster-robust); None for fewer than two groups.
    """
    parts, wholes = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    n, total = len(parts), wholes.sum()
    if not total:
        return Estimate(float("nan"), None, n)
    value = parts.sum() / total
    residuals = parts - value * wholes
    if groups is not None:
        _, codes = np.unique(groups, return_inverse=True)
        residuals = np.bincount(codes, residuals)
    clusters = residuals.size
    if clusters < 2:
        return Estimate(float(value), None, n)
    se = np.sqrt((residuals**2).sum() * clusters / (clusters - 1)) / total
    return Estimate(float(value), float(se), n)
