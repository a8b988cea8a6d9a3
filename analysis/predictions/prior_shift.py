"""P11: another prior in the pairs, documents of no concept at all, and a pool of concepts in place of their law.

Pairs whose concepts are pi' instead of pi shift the synthesizer's odds by pi' / pi. A document outside the family gets
the posterior that exact Bayes would form of it, right or not (the projection onto the family in KL). Where concepts
come from a continuum, a Bayesian who saw K of them has those K as the prior (Raventos et al. 2023, the two oracles).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from analysis.bayes_gap import BayesGap, bayes_gap, kl_by_token
from analysis.pair_law_synthesizer import PairLawSynthesizer, sample_related_partner
from analysis.predictions.finding import Finding, finding, mean_finding, ratio_finding
from analysis.predictions.one_parameter import cross_entropy, fit_along
from analysis.predictions.subject import Subject
from analysis.synthesizers import Synthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.world import World, normalise

PREDICTION = "P11"
BATCH = 256


def applies(subject: Subject) -> str | None:
    """Why the measure does not apply, in words, or None."""
    pairs = subject.pairs
    if subject.tilted is not None or pairs.wrong or pairs.near_duplicate or pairs.shared_style:
        return "its pairs differed from related ones in more than their prior"
    return None


def measure(subject: Subject) -> list[Finding]:
    """Weight of the new prior, where the pairs had one; gap on foreign documents, or nearness to the pool of concepts
    where one is given. The gap alone, of pairs with the world's own prior, is a control.

    Cost: about two dozen exact predictives for the weight, two and one of the synthesizer for each of the others.
    """
    if subject.pool is not None:
        return _nearness_to_pool(subject)
    if subject.pairs.prior is None:
        return [replace(found, control=True) for found in _foreign(subject)]
    return [_weight_of_prior(subject), *_foreign(subject)]


@dataclass(frozen=True)
class TwoOracles:
    """Gaps of a synthesizer to two Bayesians on the same d1: pool knows the concepts seen, population their law."""

    pool: BayesGap
    population: BayesGap


def two_oracles(
    synthesizer: Synthesizer, world: World, points: Tensor, d1: Tensor, generator: torch.Generator
) -> TwoOracles:
    """Gaps to exact Bayes with the prior even over ``points`` (K, V) and with the world's own prior.

    Each is teacher-forced under d2 of its own law. Cost: L * K * V a document.
    """
    return TwoOracles(
        bayes_gap(synthesizer, pool_world(world, points), d1, generator=generator),
        bayes_gap(synthesizer, world, d1, generator=generator),
    )


def pool_world(world: World, points: Tensor) -> BagOfWords:
    """The bag-of-words mixture of the concepts ``points`` (K, V), distributions over words, equally frequent."""
    even = torch.full((len(points),), 1 / len(points), dtype=torch.float64)
    words = points.double()
    return BagOfWords(even, words / words.sum(1, keepdim=True), world.L)


def _weight_of_prior(subject: Subject) -> Finding:
    """a in p(c | d1) proportional to pi_c (pi'_c / pi_c)^a P(d1 | c): 1 is exact Bayes with pi', 0 with pi."""
    world, random = subject.world, generator(PREDICTION, "prior", subject.seed)
    # A concept that pairs never have is as good as impossible at e^-30.
    shift = (subject.pairs.prior / world.prior).log().clamp_min(-30)
    kept = []
    for d1 in subject.d1.split(BATCH):
        evidence = world.log_prior + world.log_likelihood(d1)
        d2 = world.sample_from_belief(normalise(evidence + shift, dim=1)[0], random).tokens
        kept.append((evidence, d2, subject.synthesizer.next_token_log_probs(d2, d1)))

    def losses(power: float) -> Tensor:
        return torch.cat(
            [
                cross_entropy(law, world.predict_tokens(normalise(evidence + power * shift, dim=1)[0], d2))
                for evidence, d2, law in kept
            ]
        )

    found = fit_along(losses, -1.0, 3.0)
    return finding(PREDICTION, "weight of the new prior", subject.name, found.value, found.se, found.n, 1.0)


def _foreign(subject: Subject) -> list[Finding]:
    """The gap on d1 whose words were exchanged for others, one for one: grammatical documents of no concept.

    Documents that the world can't write are left out; nothing is found where it can't write any.
    """
    random = generator(PREDICTION, "foreign", subject.seed)
    foreign = torch.randperm(subject.world.V, generator=random)[subject.d1]
    foreign = foreign[torch.isfinite(exact.log_evidence(subject.world, foreign))]
    if len(foreign) < 2:
        return []
    own = PairLawSynthesizer(subject.world, subject.pairs)
    gaps = []
    for d1 in foreign.split(BATCH):
        d2 = sample_related_partner(subject.world, subject.pairs, d1, random)
        gaps.append(kl_by_token(own.next_token_log_probs(d2, d1), subject.synthesizer.next_token_log_probs(d2, d1)))
    return [mean_finding(PREDICTION, "gap on foreign documents", subject.name, torch.cat(gaps).sum(1))]


def _nearness_to_pool(subject: Subject) -> list[Finding]:
    """s in q = (1 - s) pool + s population, by least squares over next-token laws on d2 that the pool's law drew."""
    pool, random = pool_world(subject.world, subject.pool), generator(PREDICTION, "pool", subject.seed)
    above, below = [], []
    # No concept of a small pool may be able to write a document of the population: it has no posterior there.
    possible = subject.d1[exact.log_evidence(pool, subject.d1).isfinite()]
    if len(possible) < 2:
        return []
    for d1 in possible.split(BATCH):
        d2 = exact.sample_related(pool, random, d1)
        near = exact.next_token_log_probs(pool, d2, d1).exp()
        step = exact.next_token_log_probs(subject.world, d2, d1).exp() - near
        above.append(((subject.synthesizer.next_token_log_probs(d2, d1).exp() - near) * step).sum((1, 2)))
        below.append(step.square().sum((1, 2)))
    return [ratio_finding(PREDICTION, "way to population", subject.name, torch.cat(above), torch.cat(below))]
