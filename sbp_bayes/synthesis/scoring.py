"""Log-probabilities of given sequences under a model."""

from collections.abc import Sequence

import numpy as np
import torch

from sbp_bayes.model.transformer import Transformer

SLOTS = 16384  # padded tokens scored at a time


@torch.no_grad()
def score(model: Transformer, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """log p(tokens[t + 1] | tokens[: t + 1]) in nats, float64, for every t of each sequence (token ids with specials).

    Sequences of any lengths, scored longest first in padded batches; results are in input order.
    """
    scores: list[np.ndarray] = [np.empty(0)] * len(sequences)
    lengths = np.array([len(tokens) for tokens in sequences], dtype=np.int64)
    order = np.flatnonzero(lengths >= 2)
    order = order[np.argsort(-lengths[order], kind="stable")]
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        chosen = order[start : start + max(1, SLOTS // longest)]
        padded = np.zeros((len(chosen), longest), dtype=np.int64)
        for row, i in enumerate(chosen):
            padded[row, : lengths[i]] = sequences[i]
        batch = torch.from_numpy(padded).to(model.norm.weight.device)
        losses = model.token_losses(batch[:, :-1], batch[:, 1:]).double().cpu().numpy()
        for row, i in enumerate(chosen):
            scores[i] = -losses[row, : lengths[i] - 1]
        start += len(chosen)
    return scores
