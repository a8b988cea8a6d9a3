"""How much weight a synthesizer gives to one of two laws, token by token, and where along a document it changes sides.

If q = w a + (1 - w) b then the weight is found exactly from the laws alone: w = <q - b, a - b> / <a - b, a - b>.
"""

import math

import torch
from torch import Tensor

from analysis.predictions.jackknife import jackknife


def weight_parts(log_q: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    """Numerators and denominators (B, L) of the weights of a in q, from next-token laws (B, L, V).

    Over documents the ratio of their means is the least-squares weight at a position: documents in which the two laws
    agree, and the weight means nothing, count for nothing.
    """
    a_b = log_a.exp() - log_b.exp()
    return ((log_q.exp() - log_b.exp()) * a_b).sum(-1), a_b.square().sum(-1)


def crossing(weights: Tensor, level: float = 0.5) -> float:
    """Position, in tokens read, where ``weights`` (L,) first pass ``level``, between positions by a straight line.

    weights[t] is the weight once t tokens have been read. L where they never pass it.
    """
    side = weights > level
    changed = (side != side[0]).nonzero()
    if not len(changed):
        return float(len(weights))
    t = int(changed[0])
    before, after = float(weights[t - 1]), float(weights[t])
    return t - 1 + (level - before) / (after - before)


def crossing_against(
    parts: tuple[Tensor, Tensor], exact_parts: tuple[Tensor, Tensor], level: float = 0.5
) -> tuple[float, float, float]:
    """Crossings of a synthesizer and of the exact law on the same documents, and the standard error of the difference.

    Each pair of parts as `weight_parts` gives them.
    """

    def difference(top: Tensor, exact_top: Tensor, bottom: Tensor) -> float:
        return crossing(_weights(top, bottom), level) - crossing(_weights(exact_top, bottom), level)

    late, se = jackknife(difference, parts[0], exact_parts[0], parts[1])
    exact = crossing(_weights(exact_parts[0].mean(0), exact_parts[1].mean(0)), level)
    return exact + late, exact, se


def weight_against(parts: tuple[Tensor, Tensor], exact_parts: tuple[Tensor, Tensor], t: int) -> tuple[float, ...]:
    """Weights of a synthesizer and of the exact law once ``t`` tokens have been read, and the difference's error."""
    columns = [parts[0][:, t], exact_parts[0][:, t], parts[1][:, t]]
    more, se = jackknife(lambda top, exact_top, bottom: _share(top - exact_top, bottom), *columns)
    exact = _share(exact_parts[0][:, t].mean(), exact_parts[1][:, t].mean())
    return exact + more, exact, se


def _weights(top: Tensor, bottom: Tensor) -> Tensor:
    """(L,) weights; 0 where the two laws agree in every document."""
    return torch.where(bottom > 0, top / bottom, 0.0)


def _share(top: Tensor, bottom: Tensor) -> float:
    return float(top / bottom) if float(bottom) else math.nan
