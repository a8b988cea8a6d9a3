"""The operations that read weights, for R models of one shape at once: every weight is R weights, (R, ...).

A batch of R models has R * B rows, the B of the first model first. What reads no weights, such as attention, does not
know of it; what does is one batched product in place of R small ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sbp_bayes.model import cpu_norm


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T`` by model: x (R * B, ..., K), weight (R, N, K) -> (R * B, ..., N)."""
    return (by_model(x, len(weight)) @ weight.mT).view(*x.shape[:-1], -1)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """``x / rms(x) * weight`` by model over the last dimension: x (R * B, ..., D), weight (R, D)."""
    plain = x.new_ones(x.shape[-1])
    normed = cpu_norm.rms_norm(x, plain, eps) if cpu_norm.serves(x, plain) else F.rms_norm(x, plain.shape, None, eps)
    return (by_model(normed, len(weight)) * weight[:, None]).view(x.shape)


def embedding(tokens: Tensor, weight: Tensor) -> Tensor:
    """Rows of each model's table: tokens (R * B, T), weight (R, V, D) -> (R * B, T, D)."""
    models, vocabulary, _ = weight.shape
    first = torch.arange(0, models * vocabulary, vocabulary, device=tokens.device)[:, None, None]
    return F.embedding((tokens.view(models, -1, tokens.shape[1]) + first).flatten(0, 1), weight.flatten(0, 1))


def by_model(x: Tensor, models: int) -> Tensor:
    """(R * B, ..., K) -> (R, tokens of a model, K)."""
    return x.reshape(models, -1, x.shape[-1])
