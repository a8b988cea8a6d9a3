"""P15: sampling at temperature 1 preserves the prior over concepts; any other temperature bends it.

Written documents have the concepts of the world's prior: E p(c|d2') = pi. They are as surprising to exact Bayes as its
own, and to the synthesizer as its law says: a sampler at another temperature than 1 is found out by the last, whatever
the law.
Cost: N samples of the synthesizer and a pass over them, three passes of exact inference.
"""

import math

import torch
from torch import Tensor

from analysis.predictions.applicability import informative_concepts, plain_pairs
from analysis.predictions.finding import Finding, finding, mean_finding, paired_finding
from analysis.predictions.subject import Subject
from analysis.synthesizers import Synthesizer
from synthetic_worlds import exact

BATCH = 512

applies = plain_pairs


def measure(subject: Subject) -> list[Finding]:
    """KL of the mean implied posterior from the prior, where documents tell of concepts; surprise a token, to both."""
    world, length = subject.world, subject.d1.shape[1]
    surprise, expected = (-exact.log_predictive(world, d2, subject.d1) for d2 in (subject.synthesized, subject.control))
    own = own_surprise(subject.synthesizer, subject.d1, subject.synthesized)
    findings = [
        paired_finding("P15", "surprise", subject.name, surprise / length, expected / length),
        mean_finding("P15", "sampler against law", subject.name, own / length),
    ]
    if informative_concepts(subject) is None:
        implied = exact.concept_log_posterior(world, subject.synthesized).exp()
        divergence, se = prior_divergence(implied, world.prior)
        findings.insert(0, finding("P15", "prior bent", subject.name, divergence, se, len(implied)))
    return findings


def prior_divergence(implied: Tensor, prior: Tensor) -> tuple[float, float]:
    """KL(mean of ``implied`` (N, C) || prior) in nats to second order, sum_c (mean_c - pi_c)^2 / (2 pi_c), and its
    standard error.

    As a U-statistic over pairs of documents it is unbiased, where the KL of a mean of N exceeds the truth by the
    mean's own noise; so it may come out below 0. The error has the term that vanishes at the prior and the one that
    does not (Hoeffding 1948); at the prior itself it is a quarter too large, as the first is kept above 0.
    """
    n = len(implied)
    scores = (implied - prior) / (2 * prior).sqrt()
    total, own = scores.sum(0), scores.square().sum(1)
    estimate = float(total @ total - own.sum()) / (n * (n - 1))
    # Variance of <s_i, s_j> over pairs, from the C x C matrix of second moments and not the N x N one of products.
    products = (float((scores.T @ scores).square().sum()) - float(own.square().sum())) / (n * (n - 1)) - estimate**2
    means = (scores @ total - own) / (n - 1)
    by_document = max(0.0, float(means.var()) - products / (n - 1))  # less the noise that the means themselves have
    return estimate, math.sqrt(max(0.0, (4 * (n - 2) * by_document + 2 * products) / (n * (n - 1))))


def own_surprise(synthesizer: Synthesizer, d1: Tensor, written: Tensor) -> Tensor:
    """(N,) nats by which ``written`` is more surprising to the synthesizer than its law expects.

    sum_t -log q(x_t) - H(q(.|d1, x_<t)) along x = ``written``: mean 0 if and only if drawn at temperature 1, a
    martingale. The law is normalised over the world's symbols, as a sampler that is given the length draws no other.
    """
    parts = []
    for first, second in zip(d1.split(BATCH), written.split(BATCH), strict=True):
        laws = torch.log_softmax(synthesizer.next_token_log_probs(second, first), -1)
        drawn = -laws.gather(2, second[..., None])[..., 0]
        entropy = torch.special.entr(laws.exp()).sum(-1)
        parts.append((drawn - entropy).sum(1))
    return torch.cat(parts)
