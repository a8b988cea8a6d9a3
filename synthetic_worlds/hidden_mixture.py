"""Next words as a mixture: what each hidden choice says of the next word, weighted by its probability so far."""

import torch
from torch import Tensor

LOG_VANISHING = -600.0  # a weight below exp of this may underflow, which matters only ...
TINY = 1e-100  # ... beside a result this small
CHUNK_ELEMENTS = 2**21


def log_mixture(log_weights: Tensor, words: Tensor) -> Tensor:
    """(N, V) log sum_k exp(log_weights[n, k]) words[k, v], for normalised log_weights (N, K) and words (K, V).

    One matrix product; rows in which a vanishing weight could matter are done again in log space, so that -inf always
    means impossible. A row of -inf weights gives -inf.
    """
    result = log_weights.exp() @ words
    vanishing = (torch.isfinite(log_weights) & (log_weights < LOG_VANISHING)).any(1)
    lossy = (vanishing & (result < TINY).any(1)).nonzero()[:, 0]
    result.log_()
    for rows in lossy.split(max(1, CHUNK_ELEMENTS // words.numel())):
        result[rows] = (log_weights[rows, :, None] + words.log()).logsumexp(1)
    return result
