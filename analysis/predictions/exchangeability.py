"""P3: the two documents of a pair are exchangeable, so that log q(d1) + log q(d2|d1) is the same in either order.

Delta is the difference between the two orders. Its mean says nothing: over pairs that are themselves exchangeable it is
0 for any law whatever. Its square does, but a synthesizer that ignores d1 has Delta = 0 too, so that P3 supports
nothing where P1 is refuted (`verdict.READ_WITH`). For small errors Var(log p/q) is about twice the KL, hence
Var(Delta) <= 8 times the gap of the whole pair; more than that is no small error, but an asymmetric law.
Cost: two passes of the synthesizer and two of the law of a document alone, four of exact inference.
"""

import torch
from torch import Tensor

from analysis.bayes_gap import kl_by_token
from analysis.predictions.applicability import plain_pairs
from analysis.predictions.finding import Finding, mean_finding
from analysis.predictions.subject import Subject
from synthetic_worlds import exact

BATCH = 512

applies = plain_pairs


def measure(subject: Subject) -> list[Finding]:
    """The mean square of Delta, and that less eight times the gap of the pair, in nats^2 a token of d2."""
    delta, gap = order_differences(subject)
    length = subject.d1.shape[1]
    return [
        mean_finding("P3", "asymmetry", subject.name, delta.square() / length),
        mean_finding("P3", "asymmetry above small errors", subject.name, (delta.square() - 8 * gap) / length),
    ]


def order_differences(subject: Subject) -> tuple[Tensor, Tensor]:
    """Delta (N,) in nats of pairs (d1, d2 from exact Bayes), and (N,) the KL from the exact law of the whole pair."""
    synthesizer, alone, world = subject.synthesizer, subject.alone, subject.world
    deltas, gaps = [], []
    for d1, d2 in zip(subject.d1.split(BATCH), subject.related.split(BATCH), strict=True):
        second = synthesizer.next_token_log_probs(d2, d1)
        first = alone.next_token_log_probs(d1)
        back = _at(synthesizer.next_token_log_probs(d1, d2), d1) + _at(alone.next_token_log_probs(d2), d2)
        deltas.append(_at(first, d1) + _at(second, d2) - back)
        of_d1 = kl_by_token(exact.next_token_log_probs(world, d1), first)
        of_d2 = kl_by_token(exact.next_token_log_probs(world, d2, d1), second)
        gaps.append(of_d1.sum(1) + of_d2.sum(1))
    return torch.cat(deltas), torch.cat(gaps)


def _at(laws: Tensor, tokens: Tensor) -> Tensor:
    """(B,) log-probability of the tokens (B, L) under their next-token laws (B, L, V)."""
    return laws.gather(2, tokens[..., None])[..., 0].sum(1)
