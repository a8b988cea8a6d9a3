"""P1, the Bayes gap: how far a synthesizer is from the exact posterior predictive, in nats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.synthesizers import PriorSynthesizer, Synthesizer
from synthetic_worlds import exact
from synthetic_worlds.world import World


@dataclass(frozen=True)
class BayesGap:
    """sum_t E KL(p*(. | d1, d2_<t) || q(. | d1, d2_<t)), with d2 drawn from p*; infinite where q lost support.

    per_document, per_document_se: nats/document; per_token, per_token_se: nats/token; over ``n`` documents.
    by_position, by_position_se: (L,) nats/token at each position of d2.
    information: I(d1;d2) on the same documents, which is the gap of the prior; fraction: per_document / information,
    its standard error by the delta method; NaN where the information is 0 (a null world).
    The null of each is 0, the exact synthesizer's value.
    """

    name: str
    per_document: float
    per_document_se: float
    per_token: float
    per_token_se: float
    by_position: Tensor
    by_position_se: Tensor
    information: float
    information_se: float
    fraction: float
    fraction_se: float
    n: int


def kl_by_token(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) over the last dimension, in nats: (..., V) twice -> (...).

    q may sum to less than 1 (mass on tokens that p never emits), and that loss counts: a transformer's mass on the
    specials is such. Synthesis in a world of tokens does not pay for it, since the sampler there is given the length
    and draws no special before it; the gap is of the law that the model states, not of the one sampled from.
    0 log(0 / q) = 0 and p log(p / 0) = inf, so that there is never a NaN.
    """
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1)


def bayes_gaps(
    synthesizers: Sequence[Synthesizer],
    world: World,
    d1: Tensor,
    d2: Tensor | None = None,
    generator: torch.Generator | None = None,
    batch: int = 256,
) -> list[BayesGap]:
    """The Bayes gap of several synthesizers on the same documents.

    d1: (N, L) conditioning documents; d2: (N, L), drawn from the exact predictive given d1 (and from nothing else, or
    the estimate is biased); where it is None it is drawn with ``generator``. The full KL of each next-token law is
    summed (Rao-Blackwell), about ten times less variance than the log-ratio of the sampled tokens. Streams over
    documents in float64.
    """
    assert (d2 is None) != (generator is None), "give either d2 or a generator to draw it"
    if d2 is None:
        d2 = exact.sample_related(world, generator, d1)
    named = [*synthesizers, PriorSynthesizer(world)]
    rows: list[list[Tensor]] = [[] for _ in named]
    for first, second in zip(d1.split(batch), d2.split(batch), strict=True):
        log_p = exact.next_token_log_probs(world, second, first)
        for parts, synthesizer in zip(rows, named, strict=True):
            parts.append(kl_by_token(log_p, synthesizer.next_token_log_probs(second, first)))
    *found, ignoring = [torch.cat(parts) for parts in rows]
    return [summarise_gap(synthesizer.name, kl, ignoring) for synthesizer, kl in zip(synthesizers, found, strict=True)]


def bayes_gap(
    synthesizer: Synthesizer,
    world: World,
    d1: Tensor,
    d2: Tensor | None = None,
    generator: torch.Generator | None = None,
    batch: int = 256,
) -> BayesGap:
    """The Bayes gap of one synthesizer; see `bayes_gaps`."""
    return bayes_gaps([synthesizer], world, d1, d2, generator, batch)[0]


def summarise_gap(name: str, kl: Tensor, ignoring: Tensor) -> BayesGap:
    """A gap from nats a position (N, L), of the synthesizer and of the prior on the same documents.

    kl: the KL of each next-token law, or unbiased for it: log p* - log q of the tokens that p* drew.
    """
    n, length = kl.shape
    total, reference = kl.sum(1), ignoring.sum(1)
    information = float(reference.mean())
    mean, se = _mean_and_se(total)
    # Rounding leaves a null world's information at 1e-16 or so: a share of that is no number.
    fraction = float(mean / information) if information > 1e-12 else math.nan
    # An infinite fraction has an infinite standard error, an undefined one none.
    spread = _mean_and_se(total - fraction * reference)[1] / information if math.isfinite(fraction) else fraction
    by_position, by_position_se = _mean_and_se(kl)
    return BayesGap(
        name=name,
        per_document=float(mean),
        per_document_se=float(se),
        per_token=float(mean) / length,
        per_token_se=float(se) / length,
        by_position=by_position,
        by_position_se=by_position_se,
        information=information,
        information_se=float(_mean_and_se(reference)[1]),
        fraction=fraction,
        fraction_se=float(spread),
        n=n,
    )


def _mean_and_se(values: Tensor) -> tuple[Tensor, Tensor]:
    """Over the first dimension; where a value is infinite, both are infinite."""
    mean = values.mean(0)
    se = values.std(0) / len(values) ** 0.5
    return mean, torch.where(torch.isfinite(mean), se, torch.inf)
