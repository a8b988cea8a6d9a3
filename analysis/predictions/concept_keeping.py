"""P5: a synthetic document keeps the concept of its seed as often as exact Bayes does, no more and no less.

A draw from the exact predictive has the concept of d1 with the collision probability E sum_c p(c|d1)^2, not always: the
rest is no hallucination but what not knowing costs. It is read back from d2' itself, by <p(c|d1), p(c|d2')>, beside the
same of exact draws; a real partner of d1 would be the wrong control, since a synthetic d2' is independent of the true
concept given d1. Copying and plug-ins keep more, leakage of the prior keeps less.

Posterior simulation-based calibration (Saeilynoja et al. 2025) of the chain d1 -> c -> d2': a concept drawn from
p(c|d1, d2') is a draw from p(c|d1), so that its rank among 99 such draws is uniform. The draws are ranked by
log P(d1|c), as ranks by the concept's number can't see a posterior that ignores its data; ties are broken at random.
Cost: N samples of the synthesizer, four posteriors.
"""

import torch
from torch import Tensor

from analysis.predictions.applicability import informative_concepts
from analysis.predictions.finding import Finding, mean_finding, paired_finding
from analysis.predictions.subject import Subject
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.categorical import cumulative, draw

DRAWS = 99

applies = informative_concepts


def measure(subject: Subject) -> list[Finding]:
    """How often the concept is kept, and the mean rank of posterior SBC."""
    world, before = subject.world, subject.posterior
    kept, also, exact_kept = (
        (before * exact.concept_log_posterior(world, documents).exp()).sum(1)
        for documents in (subject.synthesized, subject.related, subject.control)
    )
    stream = generator("P5", subject.seed)
    after = exact.concept_log_posterior(world, subject.d1, subject.synthesized).exp()
    implied = draw(cumulative(after), 1, stream)[:, 0]
    ranks = randomised_ranks(world.log_likelihood(subject.d1), implied, before, stream)
    return [
        paired_finding("P5", "concept kept", subject.name, kept, (also + exact_kept) / 2),
        mean_finding("P5", "posterior SBC", subject.name, ranks / DRAWS, 0.5),
    ]


def randomised_ranks(
    quantity: Tensor, concepts: Tensor, posterior: Tensor, stream: torch.Generator, draws: int = DRAWS
) -> Tensor:
    """(B,) ranks 0 .. draws of ``concepts`` (B,) among as many draws from ``posterior`` (B, C), float64.

    quantity: (B, C) by which concepts are ranked. Equal ones are put in a random order, else a posterior on few
    concepts fails at being exact.
    """
    drawn = draw(cumulative(posterior), draws, stream)
    theirs, own = quantity.gather(1, drawn), quantity.gather(1, concepts[:, None])
    ties = (theirs == own).sum(1)
    above_ties = (torch.rand(len(ties), generator=stream, dtype=torch.float64) * (ties + 1)).floor()
    return (theirs < own).sum(1) + above_ties
