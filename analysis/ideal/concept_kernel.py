"""The concept kernel A(c, c') = E[p(c' | d) | c], and what follows from it for synthesis with exact Bayes.

Its eigenvalues 1 = l_1 >= l_2 >= ... >= 0 say how much of the concept one document tells. Derived in docs/theory.md:
l_2 is what a chain of synthetic documents keeps in a round (P14), the trace is what one document keeps (P5), and the
sum of squares is how fast the synthetic corpus of N seed documents approaches the world's law.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from synthetic_worlds import exact
from synthetic_worlds.world import ConceptWorld


@dataclass(frozen=True, eq=False)
class ConceptKernel:
    """joint: (C, C) the law of the concepts of d1 and of d2 ~ p(d2 | d1), E[p(c | d) p(c' | d)]; prior: (C,)."""

    joint: Tensor
    prior: Tensor

    @cached_property
    def eigenvalues(self) -> Tensor:
        """(C,) of A, largest first; those of the symmetric joint / sqrt(prior prior')."""
        root = self.prior.sqrt()
        return torch.linalg.eigvalsh(self.joint / torch.outer(root, root)).flip(0)

    @property
    def hallucination_floor(self) -> float:
        """Probability that a synthetic document has another concept than its seed, 1 - E sum_c p(c | d1)^2."""
        return 1 - float(self.joint.trace())

    @property
    def pair_divergence(self) -> float:
        """chi^2(p(d1, d2) || p(d1) p(d2)), the sum of squared eigenvalues but the first: 0 to C - 1."""
        return float(self.eigenvalues[1:].square().sum())

    def synthesis_divergence(self, documents: int) -> float:
        """E KL(p || q_N) in nats a document, q_N the law of exact synthesis from N independent ``documents``.

        The first order in 1 / N, at most (C - 1) / 2 N.
        """
        return self.pair_divergence / (2 * documents)


def concept_kernel(world: ConceptWorld, documents: Tensor, weights: Tensor | None = None) -> ConceptKernel:
    """The kernel of ``world`` from ``documents`` (B, L): all there are with their probabilities as ``weights`` (B,), or
    a sample, all equal. Of a sample the sum of squares is too large by about its variance, O(1 / B)."""
    posterior = exact.concept_log_posterior(world, documents).exp()
    if weights is None:
        weights = torch.full((len(documents),), 1 / len(documents), dtype=torch.float64)
    return ConceptKernel(posterior.T @ (posterior * weights[:, None]), world.prior)
