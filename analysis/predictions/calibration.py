"""P16: the posterior implied by what the synthesizer writes is calibrated.

The belief after reading a synthetic document, p(c|d1, d2') with d2' ~ q(.|d1), averages to p(c|d1) for exact Bayes: a
concept drawn from it and concepts drawn from p(c|d1) have the same law. That is what simulation-based calibration
tests (Talts et al. 2018), here with the exact posterior in place of 99 draws from it, which is their limit: the rank of
a concept by some quantity becomes an interval of [0, 1], ties and all, in which it lies uniformly, and all expectations
are sums over concepts without noise of their own. Quantities: the concept's number (in a random order; blind to a
posterior that ignores its data), its log-likelihood (Modrak et al. 2023), its probability (coverage of the most
probable concepts, the atom at the border included at random), and the distance to a random reference (TARP, Lemos et
al. 2023) drawn around the posterior, judged by the raw statistic and not by a test on the coverage curve.
Cost: N samples of the synthesizer, two posteriors.
"""

import torch
from torch import Tensor

from analysis.predictions.applicability import informative_concepts
from analysis.predictions.finding import Finding, mean_finding
from analysis.predictions.subject import Subject
from sbp_bayes.seeds import generator, numpy_generator
from synthetic_worlds import exact

BATCH = 1024

applies = informative_concepts


def measure(subject: Subject) -> list[Finding]:
    """Spread of ranks by number and by log-likelihood (1 when uniform), coverage, and the mean rank of TARP."""
    before = subject.posterior
    after = exact.concept_log_posterior(subject.world, subject.d1, subject.synthesized).exp()
    number = torch.randperm(subject.world.C, generator=generator("P16", subject.seed)).double().expand_as(before)
    by_number = rank_intervals(number, before)
    by_likelihood = rank_intervals(subject.world.log_likelihood(subject.d1), before)
    by_probability = rank_intervals(-before, before)
    by_reference = rank_intervals(_references(before, subject.seed), before)

    def expected(values: Tensor) -> Tensor:
        return (after * values).sum(1)

    return [
        mean_finding("P16", "ranks by number", subject.name, expected(spread(*by_number)), 1.0),
        mean_finding("P16", "ranks by likelihood", subject.name, expected(spread(*by_likelihood)), 1.0),
        mean_finding("P16", "coverage 50 %", subject.name, expected(share_below(*by_probability, 0.5)), 0.5),
        mean_finding("P16", "coverage 90 %", subject.name, expected(share_below(*by_probability, 0.9)), 0.9),
        mean_finding("P16", "TARP", subject.name, expected(centre(*by_reference)), 0.5),
    ]


def rank_intervals(quantity: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C) twice: the posterior probability of concepts of a lower quantity, and of those not higher.

    quantity, posterior: (B, C). A concept's rank is uniform between the two, and for a concept drawn from
    ``posterior`` uniform on [0, 1].
    """
    lows, highs = [], []
    for values, weights in zip(quantity.split(BATCH), posterior.split(BATCH), strict=True):
        others, own = values[:, None], values[..., None]
        lows.append(((others < own) * weights[:, None]).sum(2))
        highs.append(((others <= own) * weights[:, None]).sum(2))
    return torch.cat(lows), torch.cat(highs)


def centre(low: Tensor, high: Tensor) -> Tensor:
    """Mean of a rank uniform between low and high; 1/2 over uniform ranks."""
    return (low + high) / 2


def spread(low: Tensor, high: Tensor) -> Tensor:
    """12 times the mean square of (rank - 1/2), the rank uniform between low and high; 1 over uniform ranks."""
    a, b = low - 0.5, high - 0.5
    return 4 * (a * a + a * b + b * b)


def share_below(low: Tensor, high: Tensor, level: float) -> Tensor:
    """Probability that a rank uniform between low and high is below ``level``; the level over uniform ranks."""
    inside = ((level - low) / (high - low)).clamp(0, 1)
    return torch.where(high > low, inside, (low < level).double())


def _references(posterior: Tensor, seed: int) -> Tensor:
    """(N, C) a reference point on the simplex for each document, Dirichlet around its posterior.

    The squared distance from a certainty e_c to a reference r is |r|^2 + 1 - 2 r_c: ranking by r_c is ranking by
    nearness. References that ignore the data would be as blind as the concept's number.
    """
    shape = (1 + posterior.shape[1] * posterior).numpy()
    gammas = torch.from_numpy(numpy_generator("P16 references", seed).gamma(shape))
    return gammas / gammas.sum(1, keepdim=True)
