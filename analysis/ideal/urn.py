"""W2's ideal learner: the Dirichlet parameter of a Polya urn at its maximum a posteriori.

Given the parameter everything is conjugate: related documents count as one long document, and p(theta | d1) is the
Dirichlet with d1's word counts added. The parameter itself is found by the fixed-point iteration of Minka (Estimating a
Dirichlet distribution, 2000, equation 55), each step of which raises the likelihood. It needs only how many groups have
more than k of each word, so that a step costs the same whatever the number of documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from analysis.ideal.mixture import word_counts, word_frequencies
from sbp_bayes.errors import UserError
from synthetic_worlds.categorical import cumulative, draw
from synthetic_worlds.dirichlet import draw_log_dirichlet
from synthetic_worlds.polya import DirichletMultinomial

PSEUDO_COUNTS = (0.01, 0.1, 1.0, 10.0)  # to tune among


@dataclass(frozen=True, eq=False)
class Urn:
    """R Polya urns. alpha: (R, V) Dirichlet parameters, all over 0; length: L tokens of what is sampled."""

    alpha: Tensor
    length: int

    def log_density(self, documents: Tensor) -> Tensor:
        alpha, counts = self.alpha[:, None], word_counts(documents, self.alpha.shape[1])
        words = (torch.lgamma(alpha + counts) - torch.lgamma(alpha)).sum(2)
        total = alpha.sum(2)
        return words + torch.lgamma(total) - torch.lgamma(total + documents.shape[2])

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self._sample(self.alpha[:, None].expand(-1, n, -1), generator)

    def sample_related(self, seeds: Tensor, generator: torch.Generator) -> Tensor:
        return self._sample(self.alpha[:, None] + word_counts(seeds, self.alpha.shape[1]), generator)

    def _sample(self, alpha: Tensor, generator: torch.Generator) -> Tensor:
        """(R, B, L) a document of a theta of each Dirichlet ``alpha`` (R, B, V)."""
        theta = draw_log_dirichlet(alpha.flatten(0, 1).contiguous(), generator).exp()
        return draw(cumulative(theta), self.length, generator).view(*alpha.shape[:2], self.length)


@dataclass(frozen=True)
class UrnLearner:
    """The maximum under a Gamma(1 + pseudo_count, rate) prior on every alpha_v.

    The prior keeps words that were never seen possible (pseudo_count) and alpha finite where documents show no sign of
    a concept, as in null worlds (rate). tolerance: largest relative change of alpha in a step that ends the fit.
    """

    vocabulary: int
    length: int
    pseudo_count: float = 0.1
    rate: float = 0.01
    tolerance: float = 1e-6
    steps: int = 5000

    @classmethod
    def of_worlds(cls, worlds: Sequence[DirichletMultinomial]) -> Self:
        if any(world.M > 1 for world in worlds):
            raise UserError(f"ideal learner: world polya with components={max(w.M for w in worlds)}; expected 1")
        return cls(worlds[0].V, worlds[0].L)

    def alternatives(self) -> list[Self]:
        """The same learner at every strength of smoothing that is worth trying."""
        return [replace(self, pseudo_count=value) for value in PSEUDO_COUNTS]

    def fit(self, groups: Tensor, weights: Tensor) -> Urn:
        counts = word_counts(groups.flatten(2), self.vocabulary)
        before = torch.arange(groups.shape[2] * groups.shape[3], dtype=torch.float64)
        # (R, V, K) weight of the groups in which word v occurs more than k times
        more = torch.stack([torch.einsum("rgv,g->rv", (counts > k).double(), weights) for k in range(len(before))], 2)
        total = float(weights.sum())
        alpha = word_frequencies(counts, weights) * self.vocabulary
        for _ in range(self.steps):
            seen = alpha * (more / (alpha[..., None] + before)).sum(2) + self.pseudo_count
            drawn = total * (1 / (alpha.sum(1)[:, None] + before)).sum(1) + self.rate
            new = seen / drawn[:, None]
            change = float((new / alpha - 1).abs().max())
            alpha = new
            if change < self.tolerance:
                break
        return Urn(alpha, self.length)
