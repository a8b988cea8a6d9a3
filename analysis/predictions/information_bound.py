"""P13: a document says no more of a related one than the world lets it: I_q <= I(d1;d2) <= min(I(c;d1), I(c;d2)).

Two readings. On real pairs, E log q(d2|d1) / p(d2) can't exceed I(d1;d2) whatever q is, as long as the pairs are what
they should be; where it does, evaluation pairs are duplicates or were trained on (`information_alarm`). (Against a law
of d2 alone that is worse than the truth, such as a base model's, anything would seem to inform.) On what the
synthesizer writes, E log q(d2'|d1) / p(d2') is what it claims to know of d2' from d1: more than I(d1;d2) is knowledge
that d1 can't give, as copying and overconfidence have.
Cost: two passes of the synthesizer, N samples, six passes of exact inference.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.bayes_gap import kl_by_token
from analysis.predictions.applicability import plain_pairs
from analysis.predictions.finding import Finding, paired_finding
from analysis.predictions.subject import Subject
from analysis.synthesizers import ExactSynthesizer, Synthesizer, document_log_probs
from synthetic_worlds import exact
from synthetic_worlds.world import World

BATCH = 512
ALARM = 3.0  # standard errors

applies = plain_pairs


def measure(subject: Subject) -> list[Finding]:
    """Information on real pairs and claimed, nats a document, each beside I(d1;d2) as exact Bayes has it there."""
    exact_one = ExactSynthesizer(subject.world)
    on_real = log_ratios(subject.synthesizer, exact_one, subject.d1, subject.related)
    of_exact = log_ratios(exact_one, exact_one, subject.d1, subject.related)
    claimed = claimed_information(subject.synthesizer, subject.world, subject.d1, subject.synthesized)
    allowed = claimed_information(exact_one, subject.world, subject.d1, subject.control)
    return [
        paired_finding("P13", "information on real pairs", subject.name, on_real, of_exact),
        paired_finding("P13", "claimed information", subject.name, claimed, allowed),
    ]


def log_ratios(synthesizer: Synthesizer, alone: Synthesizer, d1: Tensor, d2: Tensor) -> Tensor:
    """(N,) log q(d2|d1) - log q(d2), in nats."""
    return document_log_probs(synthesizer, d2, d1) - document_log_probs(alone, d2)


def claimed_information(synthesizer: Synthesizer, world: World, d1: Tensor, written: Tensor) -> Tensor:
    """(N,) sum_t KL(q(.|d1, x_<t) || p(.|x_<t)) along x = ``written``, which q must have written: nats a document.

    Its mean is E_q log q(d2'|d1) / p(d2'), with less variance than the ratio at the tokens drawn.
    """
    parts = []
    for first, second in zip(d1.split(BATCH), written.split(BATCH), strict=True):
        log_q = synthesizer.next_token_log_probs(second, first)
        parts.append(kl_by_token(log_q, exact.next_token_log_probs(world, second)).sum(1))
    return torch.cat(parts)


@dataclass(frozen=True)
class Alarm:
    """information, bound: nats a document with standard errors; fires: information exceeds the bound by 3 of them."""

    information: float
    information_se: float
    bound: float
    bound_se: float

    @property
    def fires(self) -> bool:
        return self.information - self.bound > ALARM * math.hypot(self.information_se, self.bound_se)


def information_alarm(
    synthesizer: Synthesizer, alone: Synthesizer, d1: Tensor, d2: Tensor, bound: float, bound_se: float
) -> Alarm:
    """Whether evaluation pairs d1, d2 (N, L) say more of one another than related documents can.

    alone: the law of a document with nothing given; bound: the world's I(d1;d2) with its standard error, from fresh
    pairs (`exact.information`) and not from these. Fires on duplicates among the pairs, and on leakage from training.
    """
    ratios = log_ratios(synthesizer, alone, d1, d2)
    return Alarm(float(ratios.mean()), float(ratios.std()) / math.sqrt(len(ratios)), bound, bound_se)
