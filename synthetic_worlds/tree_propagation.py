"""Belief propagation on a regular tree of concepts: from what documents say at nodes to the posterior of every level.

Level 0 is the root alone, level l has b ** l nodes, level D the leaves; node j of level l has the children
j * b .. j * b + b - 1. ``log_branches[l]`` (b ** l, b) is log p(child | node) for the nodes of level l. Exact, in nats,
at the cost of one pass up and one pass down: b ** D + ... + 1 additions for each document.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from synthetic_worlds.world import normalise


def upward(log_branches: Sequence[Tensor], evidence: Mapping[int, Tensor]) -> list[Tensor]:
    """For each level (B, b ** l) log p(all evidence at or below the node | node).

    ``evidence`` maps a level to (B, b ** level) log p(what is seen of the node itself | node).
    """
    depth = len(log_branches)
    messages: list[Tensor] = []
    for level in range(depth, -1, -1):
        message = evidence.get(level, torch.zeros((), dtype=torch.float64))
        if messages:
            below = messages[-1].unflatten(1, log_branches[level].shape)
            message = message + (below + log_branches[level]).logsumexp(2)
        messages.append(message)
    return messages[::-1]


def downward(log_branches: Sequence[Tensor], messages: Sequence[Tensor]) -> list[Tensor]:
    """For each level (B, b ** l) log p(node | all evidence), from the messages of `upward`.

    Where the evidence is impossible all levels are -inf.
    """
    beliefs = [messages[0] - messages[0].masked_fill(messages[0] == -torch.inf, 0.0)]
    for branches, message in zip(log_branches, messages[1:], strict=True):
        # Each node's belief is shared out among its children in proportion to branch and message.
        shares, _ = normalise(branches + message.unflatten(1, branches.shape), dim=2)
        beliefs.append((beliefs[-1][..., None] + shares).flatten(1))
    return beliefs


def leaf_log_prior(log_branches: Sequence[Tensor], level: int) -> Tensor:
    """(b ** level, leaves below each) log p(leaf | node) for the nodes of ``level``."""
    prior = torch.zeros(len(log_branches[0]) if level == 0 else log_branches[level - 1].numel(), 1, dtype=torch.float64)
    for branches in log_branches[level:]:
        prior = (prior[..., None] + branches.unflatten(0, prior.shape)).flatten(1)
    return prior
