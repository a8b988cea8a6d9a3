"""P2: the right posterior where a document is ambiguous, not its most probable concept.

Two tests. Over documents as the world makes them the Bayes gap is the same however ambiguous d1 is, where that of a
plug-in grows with H(c|d1). And for documents made ambiguous on purpose, half from concept a and half from b, the
log-odds of a against b that the synthesizer acts on are those of exact Bayes.

A synthesizer has no posterior to read, but its law has one: for a document d2a of concept a and a d2b of b, the
contrast log q(d2a | d1) - log q(d2b | d1) is, but for a constant of d2a and d2b, the log-odds of a against b where q is
a mixture of concepts and d2a and d2b leave no doubt. The constant goes when the contrast is taken twice, given a d1
whose first half is of a and given another whose first half is of b: the difference is how much the odds differ between
the two. Where d2a and d2b leave some doubt exact Bayes has the same, and it is against its difference that the
synthesizer's is regressed: slope 1, intercept 0. A synthesizer that ignores d1 has slope 0, however its law fits and
whatever documents of a concept have in common. Slope above 1 is overconfidence, below 1 shrinkage towards the prior;
half the intercept is a preference for the first half of d1.
Cost: six passes of the synthesizer and a dozen of exact inference over at most 2,048 constructed pairs.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.bayes_gap import bayes_gap, kl_by_token
from analysis.predictions.applicability import informative_concepts
from analysis.predictions.finding import Finding, finding
from analysis.predictions.line import fit_line
from analysis.predictions.subject import Subject
from analysis.synthesizers import ExactSynthesizer, Synthesizer, document_log_probs
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.categorical import cumulative, draw
from synthetic_worlds.world import ConceptWorld

MOST = 2048
BATCH = 512
DECILES = 10

applies = informative_concepts


def measure(subject: Subject) -> list[Finding]:
    """The rise of the gap from the least to the most ambiguous tenth; slope, intercept and gap on constructed d1."""
    world, stream = subject.world, generator("P2", subject.seed)
    rise, rise_se = gap_rise(subject)
    findings = [finding("P2", "rise of the gap", subject.name, rise, rise_se, len(subject.d1))]
    made = ambiguous_documents(world, min(MOST, len(subject.d1)), stream)
    n = len(made.d1)
    if n < 2:
        return findings  # no document can be of two concepts
    line = fit_line(*(odds_difference(law, made) for law in (ExactSynthesizer(world), subject.synthesizer)))
    d2 = exact.sample_related(world, stream, made.d1)
    gap = bayes_gap(subject.synthesizer, world, made.d1, d2)
    bits = (gap.per_token / math.log(2), gap.per_token_se / math.log(2))
    return [
        *findings,
        finding("P2", "slope of log-odds", subject.name, line.slope, line.slope_se, n, 1.0),
        finding("P2", "preferred half", subject.name, line.intercept / 2, line.intercept_se / 2, n),
        finding("P2", "gap on mixed documents", subject.name, *bits, n),
    ]


def gap_rise(subject: Subject) -> tuple[float, float]:
    """Bits a token by which the gap of the most ambiguous tenth of d1 exceeds that of the least, on a straight line
    through all tenths, and its standard error. Documents of equal H(c|d1) share a rank."""
    gaps = []
    for d1, d2 in zip(subject.d1.split(BATCH), subject.related.split(BATCH), strict=True):
        log_q = subject.synthesizer.next_token_log_probs(d2, d1)
        gaps.append(kl_by_token(exact.next_token_log_probs(subject.world, d2, d1), log_q).sum(1))
    entropy = torch.special.entr(subject.posterior).sum(1).contiguous()
    below = torch.searchsorted(entropy.sort().values, entropy)
    tenth = (below * DECILES // len(entropy)).double()
    if not (tenth > 0).any():
        return 0.0, 0.0  # all equally ambiguous
    line = fit_line(tenth, torch.cat(gaps))
    scale = (DECILES - 1) / (subject.world.L * math.log(2))
    return line.slope * scale, line.slope_se * scale


@dataclass(frozen=True)
class Ambiguous:
    """Constructed documents d1 (B, L), the first half of concept ``a`` (B,), the second of ``b``; turned (B, L): others
    with the first half of b, the second of a; of_a and of_b (B, L) whole documents of each."""

    d1: Tensor
    turned: Tensor
    a: Tensor
    b: Tensor
    of_a: Tensor
    of_b: Tensor


def ambiguous_documents(world: ConceptWorld, n: int, stream: torch.Generator) -> Ambiguous:
    """At most ``n``: those that the world can make at all."""
    a = world.sample_concepts(n, stream)
    others = world.prior.expand(n, -1).scatter(1, a[:, None], 0.0)
    b = draw(cumulative(others), 1, stream)[:, 0]
    half = world.L // 2
    first, second, third, fourth, of_a, of_b = (
        world.sample_given_concepts(c, stream).tokens for c in (a, b, b, a, a, b)
    )
    d1, turned = (torch.cat([start[:, :half], end[:, half:]], 1) for start, end in ((first, second), (third, fourth)))
    possible = torch.isfinite(exact.log_evidence(world, d1) + exact.log_evidence(world, turned))
    return Ambiguous(*(rows[possible] for rows in (d1, turned, a, b, of_a, of_b)))


def odds_difference(synthesizer: Synthesizer, made: Ambiguous) -> Tensor:
    """(B,) nats by which the log-odds of a against b that the synthesizer's law implies are higher given ``made.d1``
    than given ``made.turned``."""
    given, turned = (
        document_log_probs(synthesizer, made.of_a, d1) - document_log_probs(synthesizer, made.of_b, d1)
        for d1 in (made.d1, made.turned)
    )
    return given - turned
