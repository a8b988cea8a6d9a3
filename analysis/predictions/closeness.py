"""P1: the synthesizer is close to exact Bayes, and closer to it than to the plug-in of the most probable concept.

Cost: two passes of the synthesizer over N pairs, four of exact inference.
"""

import math

import torch
from torch import Tensor

from analysis.bayes_gap import bayes_gap
from analysis.predictions.applicability import plain_pairs
from analysis.predictions.finding import Finding, finding, ratio_finding
from analysis.predictions.mixture_weight import weight_parts
from analysis.predictions.subject import Subject
from analysis.synthesizers import MapSynthesizer, Synthesizer
from synthetic_worlds import exact

BATCH = 512

applies = plain_pairs


def measure(subject: Subject) -> list[Finding]:
    """The Bayes gap in bits a token and as a share of I(d1;d2), and the part of the way to the plug-in.

    d2 is drawn from the exact predictive and the full KL of each next-token law summed, so that the estimate is
    unbiased. The share is left out where one document says nothing of another; the part of the way to the plug-in where
    there is none.
    """
    gap = bayes_gap(subject.synthesizer, subject.world, subject.d1, subject.related)
    bits = (gap.per_token / math.log(2), gap.per_token_se / math.log(2))
    findings = [finding("P1", "gap", subject.name, *bits, gap.n)]
    if not math.isnan(gap.fraction):
        findings.append(finding("P1", "share of information", subject.name, gap.fraction, gap.fraction_se, gap.n))
    if hasattr(subject.world, "most_probable"):
        above, below = towards(MapSynthesizer(subject.world), subject)
        if float(below.mean()) > 1e-12:  # in a null world the plug-in is exact Bayes
            findings.append(ratio_finding("P1", "way to plug-in", subject.name, above, below))
    return findings


def towards(other: Synthesizer, subject: Subject) -> tuple[Tensor, Tensor]:
    """How far the synthesizer q lies from exact Bayes p* on the way to ``other``, m: numerator and denominator.

    For each document (N,): sum_t <q_t - p*_t, m_t - p*_t> and sum_t |m_t - p*_t|^2, over next-token probabilities. The
    ratio of their means is s where q = (1 - s) p* + s m at each token: 0 for p*, 1 for m, and below 1/2 where q is
    closer to p* than to m in squared distance. Unlike a KL from m it is finite whatever m excludes.
    """
    above, below = [], []
    for d1, d2 in zip(subject.d1.split(BATCH), subject.related.split(BATCH), strict=True):
        laws = (law.next_token_log_probs(d2, d1) for law in (subject.synthesizer, other))
        tops, bottoms = weight_parts(*laws, exact.next_token_log_probs(subject.world, d2, d1))
        above.append(tops.sum(1))
        below.append(bottoms.sum(1))
    return torch.cat(above), torch.cat(below)
