"""A straight line through points, with standard errors that hold where the scatter varies along it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x."""

    slope: float
    slope_se: float
    intercept: float
    intercept_se: float


def fit_line(x: Tensor, y: Tensor) -> Line:
    """Least squares through (x, y), each (N,); standard errors of White (1980), which assume no constant scatter.

    All infinite where a y is: a synthesizer that excludes what exact Bayes allows.
    """
    if not torch.isfinite(y).all():
        return Line(*[float("inf")] * 4)
    columns = torch.stack([torch.ones_like(x), x], 1)
    inverse = torch.linalg.inv(columns.T @ columns)
    solution = inverse @ (columns.T @ y)
    scores = columns * (y - columns @ solution)[:, None]
    intercept_se, slope_se = (inverse @ (scores.T @ scores) @ inverse).diagonal().sqrt().tolist()
    intercept, slope = solution.tolist()
    return Line(slope, slope_se, intercept, intercept_se)
