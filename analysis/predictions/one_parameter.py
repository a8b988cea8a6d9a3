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

TOLERANCE = 1e-5


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
    curvature of their mean. A minimum at an end, where the mean slope is plainly towards the end, has none: no other
    documents would move it. About two dozen evaluations.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda value: float(losses(value).mean()), bounds=(low, high), method="bounded", options={"xatol": TOLERANCE}
    )
    value, step = float(found.x), 1e-3 * (high - low)
    centre = min(max(value, low + step), high - step)
    below, at, above = losses(centre - step), losses(centre), losses(centre + step)
    slopes = (above - below) / (2 * step)
    n = len(at)
    slope, slope_se = float(slopes.mean()), float(slopes.std()) / math.sqrt(n)
    for end, outwards in ((low, slope), (high, -slope)):
        # Bounded search stops short of an end by its tolerance.
        if abs(value - end) < step / 10 and outwards > 3 * slope_se:
            return Fitted(end, 0.0, n)
    curvature = float((above - 2 * at + below).mean()) / step**2
    # Rounding of losses of tens of nats leaves curvatures of this size where there are none.
    return Fitted(value, slope_se / curvature if curvature > 1e-6 else math.inf, n)
