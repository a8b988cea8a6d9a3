"""Excess loss on documents of frequent concepts and of rare ones: where a gain goes (P12)."""

import torch
from torch import Tensor

from analysis.excess_loss import MeanLoss, excess_loss

FEWEST = 2  # documents that a mean with a standard error takes


def rank_octaves(log_prior: Tensor, concepts: Tensor) -> Tensor | None:
    """The octave of each document's concept (N,): 1, 2, 4, ..., the lowest rank in it; rank 1 is the most frequent.

    log_prior: (C,); concepts: (N,). None where the prior is uniform, so that ranks mean nothing.
    """
    if torch.allclose(log_prior, log_prior[0].expand_as(log_prior)):
        return None
    ranks = torch.empty_like(log_prior)
    ranks[log_prior.argsort(descending=True, stable=True)] = torch.arange(1, len(log_prior) + 1).to(log_prior)
    return 2 ** ranks[concepts].log2().floor().long()


def excess_by_octave(
    log_probs: Tensor, exact_log_probs: Tensor, tokens: Tensor, octaves: Tensor
) -> dict[int, MeanLoss]:
    """Octave -> nats above exact Bayes on its documents; octaves of fewer than `FEWEST` are left out.

    log_probs, exact_log_probs, tokens, octaves: (N,). On a group of documents chosen by concept it may be below 0; over
    all documents it is not, but for chance.
    """
    groups = {int(octave): octaves == octave for octave in octaves.unique(sorted=True)}
    return {
        octave: excess_loss(log_probs[own], exact_log_probs[own], tokens[own])
        for octave, own in groups.items()
        if own.sum() >= FEWEST
    }
