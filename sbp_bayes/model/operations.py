"""The model's operations in plain PyTorch: the definition of each, and the one place that calls its kernel.

Where `sbp_bayes.kernels` has a faster form it is chosen here and nowhere else; the model does not know.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sbp_bayes import kernels
from sbp_bayes.model import cpu_linear


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T``: x (..., K), weight (N, K) -> (..., N)."""
    if cpu_linear.wins(x, weight):
        return cpu_linear.linear(x, weight)
    return F.linear(x, weight)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """``x / rms(x) * weight`` over the last dimension (Zhang and Sennrich 2019)."""
    if kernels.serve("rms_norm", x):
        from sbp_bayes.kernels import rms_norm as kernel

        return kernel.rms_norm(x, weight, eps)
    return F.rms_norm(x, weight.shape, weight, eps)


def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`rms_norm` of ``x + residual``, and that sum."""
    if kernels.serve("rms_norm", x):
        from sbp_bayes.kernels import rms_norm as kernel

        return kernel.add_rms_norm(x, residual, weight, eps)
    total = x + residual
    return rms_norm(total, weight, eps), total


def rotary_angles(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (..., T, head_dim) of RoPE (Su et al. 2021) at ``positions`` (..., T), in float32.

    The two halves of a head are the real and imaginary parts, as in Hugging Face's Llama and Qwen3.
    """
    exponents = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    angles = positions.float().unsqueeze(-1) * theta**-exponents
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate queries or keys (B, H, T, head_dim) by angles that broadcast to them."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Softmax attention with scale 1/sqrt(head_dim); grouped queries where there are fewer key heads.

    query (B, H, T, d), key and value (B, K, S, d), K divides H; mask (B, 1, T, S) boolean: True where a query may look.
    """
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=grouped)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """``silu(gate) * up`` (Shazeer 2020)."""
    if kernels.serve("swiglu", gate):
        from sbp_bayes.kernels import swiglu as kernel

        return kernel.swiglu(gate, up)
    return F.silu(gate) * up


def linear_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """``-log softmax(hidden @ head.T)[targets]`` in nats: hidden (N, D), head (V, D), targets (N,) -> (N,) float32."""
    if kernels.serve("linear_cross_entropy", hidden) and not torch.is_grad_enabled():
        from sbp_bayes.kernels.linear_cross_entropy import token_nats

        return token_nats(hidden, head, targets)
    return F.cross_entropy(linear(hidden, head).float(), targets, reduction="none")


def weighted_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Sum over tokens of weight * `linear_cross_entropy`, in nats; weights (N,) float32, of which none is learnt."""
    if kernels.serve("linear_cross_entropy", hidden):
        from sbp_bayes.kernels.linear_cross_entropy import weighted_nats

        return weighted_nats(hidden, head, targets, weights)
    return (weights * linear_cross_entropy(hidden, head, targets)).sum()
