"""One number along a line of laws: where on the line a synthesizer's next-token laws lie.

A prediction with a parameter (the share of wrong pairs, the power of the evidence, the weight of a new prior) names a
family of laws p_a, one for each value a. A synthesizer that is in the family has one value; for any other the nearest
law's is found. Teacher-forced and summed over all next tokens, so that a synthesizer in the family is given its own
value without any noise of sampling.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.predictions.jackknife import jackknife

TOLERANCE = 1e-5
GRID = 41


@dataclass(frozen=True)
class Fitted:
    """value: of the parameter; se: its standard error over documents (infinite where the laws do not tell); n."""

    value: float
    se: float
    n: int


def cross_entropy(log_q: Tensor, log_p: Tensor) -> Tensor:
    """(B,) nats a document: sum over positions and tokens of -q log p, (B, L, V) twice.

    Tokens that p never writes say nothing of where on the line q is, and are left out.
    """
    return -torch.where(log_p > -torch.inf, log_q.exp() * log_p, 0.0).sum((1, 2))


def fit_along(losses: Callable[[float], Tensor], low: float, high: float) -> Fitted:
    """The value in [low, high] that minimises the mean of ``losses``: value -> (n,) nats a document.

    The standard error is that of an M-estimator (Huber 1967): spread of the slopes of the documents' losses over the
    curvature of their mean. At an end of the line, where no slope need be zero, it is the jackknife's of the lowest of
    `GRID` points of the line. About two dozen evaluations, and as many more as points at an end.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda value: float(losses(value).mean()), bounds=(low, high), method="bounded", options={"xatol": TOLERANCE}
    )
    value, step = float(found.x), 1e-3 * (high - low)
    centre = min(max(value, low + step), high - step)
    below, at, above = losses(centre - step), losses(centre), losses(centre + step)
    curvature = float((above - 2 * at + below).mean()) / step**2
    # Bounded search stops short of an end by its tolerance.
    end = next((end for end in (low, high) if abs(value - end) < step / 10), None)
    # Rounding of losses of tens of nats leaves curvatures of this size where there are none.
    if end is None and curvature > 1e-6:
        spread = float(((above - below) / (2 * step)).std())
        return Fitted(value, spread / math.sqrt(len(at)) / curvature, len(at))
    return Fitted(value if end is None else end, _se_of_lowest(losses, low, high), len(at))


def _se_of_lowest(losses: Callable[[float], Tensor], low: float, high: float) -> float:
    """Standard error of where on a grid the mean loss is lowest; infinite where the line is flat."""
    grid = torch.linspace(low, high, GRID, dtype=torch.float64)
    on_grid = torch.stack([losses(float(value)) for value in grid], 1)
    heights = on_grid.mean(0)
    if float(heights.max() - heights.min()) < 1e-9:
        return math.inf
    return jackknife(lambda mean: float(grid[mean.argmin()]), on_grid)[1]
