"""W9's ideal learner: the loading of a linear-Gaussian world, whose maximum of likelihood has a closed form.

Noise and the number of factors are known, the loading is not. After division by the noise's deviations the scaled sum
s = (d1 + ... + dg) / sqrt(g) of related documents is N(0, I + g W W') and whatever else they say is noise alone, so
that the likeliest W W' has the leading q eigenvectors of the covariance of s and eigenvalues (lambda - 1) / g, as in
probabilistic principal component analysis (Tipping & Bishop 1999, Appendix A).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sbp_bayes.errors import UserError
from synthetic_worlds.gaussian import LOG_2PI, LinearGaussian


@dataclass(frozen=True, eq=False)
class Factors:
    """R linear-Gaussian laws of documents d = sqrt(noise) * x, x ~ N(0, I + axes diag(signal) axes').

    axes: (R, D, q) orthonormal; signal: (R, q) at least 0, variance of each axis that related documents share; noise:
    (D,) variances. The correlation of two related documents along an axis is signal / (1 + signal).
    """

    axes: Tensor
    signal: Tensor
    noise: Tensor

    def log_density(self, documents: Tensor) -> Tensor:
        x = documents / self.noise.sqrt()
        along = (x @ self.axes).square() * (self.signal / (1 + self.signal))[:, None]
        scale = torch.log1p(self.signal).sum(1)[:, None] + self.noise.log().sum() + len(self.noise) * LOG_2PI
        return -0.5 * (x.square().sum(2) - along.sum(2) + scale)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        seeds = torch.zeros(len(self.axes), n, len(self.noise), dtype=torch.float64)
        return self._sample(seeds, torch.zeros_like(self.signal), 1 + self.signal, generator)

    def sample_related(self, seeds: Tensor, generator: torch.Generator) -> Tensor:
        correlation = self.signal / (1 + self.signal)
        return self._sample(seeds, correlation, 1 + correlation, generator)

    def _sample(self, seeds: Tensor, kept: Tensor, variance: Tensor, generator: torch.Generator) -> Tensor:
        """Along each axis ``kept`` (R, q) of the seed and noise of ``variance`` (R, q); elsewhere noise of 1."""
        scale = self.noise.sqrt()
        x = torch.randn(seeds.shape, dtype=torch.float64, generator=generator)
        wanted = (seeds / scale @ self.axes) * kept[:, None] + (x @ self.axes) * (variance.sqrt() - 1)[:, None]
        return (x + wanted @ self.axes.transpose(1, 2)) * scale


@dataclass(frozen=True, eq=False)
class FactorLearner:
    """The maximum of likelihood. noise: (D,) variances, known; factors: q, known."""

    noise: Tensor
    factors: int

    @classmethod
    def of_worlds(cls, worlds: Sequence[LinearGaussian]) -> Self:
        first = worlds[0]
        if any(world.q != first.q or not torch.equal(world.noise, first.noise) for world in worlds):
            raise UserError("ideal learner: gaussian worlds of different noise or factors; expected the same in all")
        return cls(first.noise, first.q)

    def fit(self, groups: Tensor, weights: Tensor) -> Factors:
        size = groups.shape[2]
        s = groups.sum(2) / math.sqrt(size) / self.noise.sqrt()
        covariance = (s * (weights / weights.sum())[:, None]).transpose(1, 2) @ s
        values, vectors = torch.linalg.eigh(covariance)
        kept = min(self.factors, len(self.noise))
        signal = (values[:, -kept:] - 1).clamp_min(0) / size
        return Factors(vectors[:, :, -kept:], signal, self.noise)
