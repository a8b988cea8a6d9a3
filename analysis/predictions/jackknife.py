"""Standard errors of statistics of means, by leaving out one group of documents at a time."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

GROUPS = 32


def jackknife(statistic: Callable[..., float], *columns: Tensor, groups: int = GROUPS) -> tuple[float, float]:
    """``statistic`` of the column means and its standard error.

    columns: each (N, ...), one row a document; the statistic takes as many means (...). Rows are dealt to at most
    ``groups`` groups of equal size up to one row (delete-a-group jackknife: Kott 2001). At least two documents.
    """
    n = len(columns[0])
    assert n > 1, "a standard error needs two documents"
    deal = torch.arange(n) % min(groups, n)
    sizes = torch.bincount(deal).double()
    sums = [
        torch.zeros(len(sizes), *column.shape[1:], dtype=torch.float64).index_add_(0, deal, column.double())
        for column in columns
    ]
    totals = [part.sum(0) for part in sums]
    without = torch.tensor(
        [
            statistic(*((total - part[g]) / (n - sizes[g]) for total, part in zip(totals, sums, strict=True)))
            for g in range(len(sizes))
        ],
        dtype=torch.float64,
    )
    count = len(sizes)
    spread = (without - without.mean()).square().sum() * (count - 1) / count
    return float(statistic(*(total / n for total in totals))), math.sqrt(float(spread))
