"""Draws from categorical distributions, and the Dirichlet draws that worlds make their parameters from."""

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.dials import WorldError


def cumulative(probabilities: Tensor) -> Tensor:
    """Cumulative sums (..., n) for `draw`; rows need not sum to one exactly.

    Divided by its own last value, a row reaches exactly one at its last possible outcome: rounding can never select
    an impossible one, as uniform draws are below one.
    """
    sums = probabilities.cumsum(-1)
    return sums / sums[..., -1:]


def draw(cumulative_rows: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """``n`` independent draws (B, n) int64 from each row of cumulative sums (B, V), by inversion."""
    uniform = torch.rand(
        len(cumulative_rows), n, dtype=torch.float64, generator=generator, device=cumulative_rows.device
    )
    return torch.searchsorted(cumulative_rows.contiguous(), uniform, right=True)


def overlap_mixture(
    random: np.random.Generator,
    concepts: int,
    shape: tuple[int, ...],
    overlap: float,
    concentration: float,
    base_concentration: float = 1.0,
) -> Tensor:
    """``overlap * base + (1 - overlap) * specific_c`` (C, *shape) float64: distributions over the last axis.

    base ~ Dirichlet(base_concentration), shared by all concepts; specific_c ~ Dirichlet(concentration), one for each.
    The draws don't depend on ``overlap``: turning that dial moves the same world along a line. overlap = 1 leaves the
    base exactly.
    """
    *rows, outcomes = shape
    base = random.dirichlet(np.full(outcomes, base_concentration), size=tuple(rows))
    specific = random.dirichlet(np.full(outcomes, concentration), size=(concepts, *rows))
    mixture = overlap * base + (1 - overlap) * specific
    return torch.from_numpy(mixture / mixture.sum(-1, keepdims=True))


def zipf_prior(concepts: int, exponent: float) -> Tensor:
    """Prior over concepts (C,) proportional to rank ** -exponent; exponent 0 is uniform."""
    weights = torch.arange(1, concepts + 1, dtype=torch.float64) ** -exponent
    return weights / weights.sum()


def check_distributions(owner: str, parameters: dict[str, Tensor]) -> None:
    """Raises WorldError where a parameter is not float64 distributions over its last axis (to 1e-9)."""
    for name, values in parameters.items():
        if values.dtype != torch.float64 or not ((values >= 0).all() and ((values.sum(-1) - 1).abs() < 1e-9).all()):
            raise WorldError(f"world {owner}: {name} {tuple(values.shape)}: expected float64 rows that sum to one")
