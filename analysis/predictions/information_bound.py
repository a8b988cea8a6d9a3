"""P13: a document says no more of a related one than the world lets it: I_q <= I(d1;d2) <= min(I(c;d1), I(c;d2)).

Two readings. On real pairs, E log q(d2|d1) / p(d2) can't exceed I(d1;d2) whatever q is, as long as the pairs are what
they should be; where it does, evaluation pairs are duplicates or were trained on (`information_alarm`, put to the pairs
that a run held out). On pairs drawn from exact Bayes nothing can: there it is a control, and supports nothing. (Against
a law of d2 alone that is worse than the truth, such as a base model's, anything would seem to inform.)

On what the synthesizer writes, how much more probable is it to the synthesizer given its d1 than given others,
    E log q(d2'|d1) - log mean_k q(d2'|d1_k),    d1_1 .. d1_8 unrelated to d1.
That is what its law claims that d1 tells of d2': the leave-one-out bound on the information between d1 and d2' (Poole
et al. 2019), from above and close to it with many d1_k. One that ignores d1 claims 0, however badly its law of
documents fits; exact Bayes, measured with its own law by the same formula, a little more than I(d1;d2), which is where
its claim tends to. More than exact Bayes claims is knowledge that d1 can't give, as copying and overconfidence have.
Where unrelated documents rule one another out it is infinite for exact Bayes, and left out.
Cost: ten passes of the synthesizer, N samples, a dozen passes of exact inference.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.bayes_gap import kl_by_token
from analysis.mixture_synthesizer import mixture_laws
from analysis.predictions.applicability import informative, plain_pairs
from analysis.predictions.finding import Finding, paired_finding
from analysis.predictions.subject import Subject
from analysis.synthesizers import ExactSynthesizer, Synthesizer, document_log_probs

BATCH = 256
UNRELATED = 8
ALARM = 3.0  # standard errors

applies = plain_pairs


def measure(subject: Subject) -> list[Finding]:
    """Information on real pairs and, where documents tell of one another, claimed; nats a document, each beside that of
    exact Bayes."""
    exact_one = ExactSynthesizer(subject.world)
    on_real = log_ratios(subject.synthesizer, exact_one, subject.d1, subject.related)
    of_exact = log_ratios(exact_one, exact_one, subject.d1, subject.related)
    findings = [paired_finding("P13", "information on real pairs", subject.name, on_real, of_exact)]
    if informative(subject) is not None:
        return findings
    allowed = claimed_information(exact_one, subject.d1, subject.control)
    if not torch.isfinite(allowed).all():
        return findings
    claimed = claimed_information(subject.synthesizer, subject.d1, subject.synthesized)
    return [*findings, paired_finding("P13", "claimed information", subject.name, claimed, allowed)]


def log_ratios(synthesizer: Synthesizer, alone: Synthesizer, d1: Tensor, d2: Tensor) -> Tensor:
    """(N,) log q(d2|d1) - log q(d2), in nats."""
    return document_log_probs(synthesizer, d2, d1) - document_log_probs(alone, d2)


def claimed_information(synthesizer: Synthesizer, d1: Tensor, written: Tensor, unrelated: int = UNRELATED) -> Tensor:
    """(N,) sum_t KL(q(.|d1, x_<t) || mean_k q(.|d1_k, x_<t)) along x = ``written``, which q must have written for d1:
    nats a document. d1_k: d1 of the ``unrelated`` rows before; each weighs as much as it foretold of x_<t.

    Its mean is E_q log q(d2'|d1) / mean_k q(d2'|d1_k), with less variance than the ratio at the tokens drawn.
    """
    others = [d1.roll(k, 0) for k in range(1, min(unrelated, len(d1) - 1) + 1)]
    even, parts = torch.full((len(others),), 1 / len(others), dtype=torch.float64), []
    for rows in torch.arange(len(d1)).split(BATCH):
        d2 = written[rows]
        own = synthesizer.next_token_log_probs(d2, d1[rows])
        laws = torch.stack([synthesizer.next_token_log_probs(d2, other[rows]) for other in others])
        parts.append(kl_by_token(own, mixture_laws(laws, even, d2)).sum(1))
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
