"""The model's operations in plain PyTorch: the definition of each, and the one place that calls its kernel.

Where `sbp_bayes.kernels` has a form that wins on this device it is chosen here and nowhere else; the model does not
know. Attention over packed documents takes the form of `sbp_bayes.model.document_mask`. Weights with one dimension more
are those of several models, which are computed together (`sbp_bayes.model.stacked`).
"""

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from sbp_bayes import kernels
from sbp_bayes.errors import UserError
from sbp_bayes.model import cpu_cross_entropy, cpu_linear, cpu_norm, stacked
from sbp_bayes.model.document_mask import Segments, flex_attention, varlen_attention

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

REDUCTIONS = ("none", "mean", "sum")
# More logits than this, 8 GiB in float32, are never made whole: there the kernel runs whatever the table says.
LARGEST_LOGITS = 2**31


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T``: x (..., K), weight (N, K) -> (..., N)."""
    if weight.dim() == 3:
        return stacked.linear(x, weight)
    if cpu_linear.wins(x, weight):
        return cpu_linear.linear(x, weight)
    return F.linear(x, weight)


def embedding(tokens: Tensor, weight: Tensor) -> Tensor:
    """Rows of the table ``weight`` (V, D): tokens (B, T) -> (B, T, D)."""
    return stacked.embedding(tokens, weight) if weight.dim() == 3 else F.embedding(tokens, weight)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """``x / rms(x) * weight`` over the last dimension (Zhang and Sennrich 2019)."""
    if weight.dim() == 2:
        return stacked.rms_norm(x, weight, eps)
    if kernels.serve("rms_norm", x):
        from sbp_bayes.kernels import rms_norm as kernel

        return kernel.rms_norm(x, weight, eps)
    if cpu_norm.serves(x, weight):
        return cpu_norm.rms_norm(x, weight, eps)
    return F.rms_norm(x, weight.shape, weight, eps)


def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`rms_norm` of ``x + residual``, and that sum, in the wider of their types."""
    if weight.dim() == 1 and x.dtype == residual.dtype and kernels.serve("rms_norm", x):
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


def qk_norm_rope(
    query: Tensor, key: Tensor, query_gain: Tensor, key_gain: Tensor, cos: Tensor, sin: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """`rms_norm` of each head, then `rotate`: queries (B, T, H, d) and keys (B, T, K, d) -> (B, H, T, d), (B, K, T, d).

    gains (d,); cos, sin (B or 1, 1, T, d), whose halves are equal, as `rotary_angles` makes them; they are not learnt.
    """
    if query_gain.dim() == 1 and kernels.serve("qk_norm_rope", query):
        from sbp_bayes.kernels import qk_norm_rope as kernel

        return kernel.qk_norm_rope(query, key, query_gain, key_gain, cos, sin, eps)
    query, key = rms_norm(query, query_gain, eps).transpose(1, 2), rms_norm(key, key_gain, eps).transpose(1, 2)
    return rotate(query, cos, sin), rotate(key, cos, sin)


def attention(
    query: Tensor, key: Tensor, value: Tensor, seen: "Tensor | Segments | BlockMask | None", causal: bool
) -> Tensor:
    """Softmax attention with scale 1/sqrt(head_dim); grouped queries where there are fewer key heads.

    query (B, H, T, d), key and value (B, K, S, d), K divides H. seen: a `document_mask`, or a boolean mask
    (B, 1, T, S), True where a query may look; causal: by order alone, for ``seen`` None.
    """
    if isinstance(seen, Segments):
        return varlen_attention(query, key, value, seen)
    if seen is not None and not isinstance(seen, Tensor):
        return flex_attention(query, key, value, seen)
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=causal, enable_gqa=grouped)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """``silu(gate) * up`` (Shazeer 2020)."""
    if kernels.serve("swiglu", gate):
        from sbp_bayes.kernels import swiglu as kernel

        return kernel.swiglu(gate, up)
    return F.silu(gate) * up


def linear_cross_entropy(
    e: Tensor,
    c: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    ignore_index: int = -100,
    softcap: float | None = None,
    reduction: str = "mean",
    weights: Tensor | None = None,
    z_loss: float = 0.0,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """``weight * (-log softmax(logits)[target] + z_loss * lse**2)`` of each token, in nats, float32.

    e (N, D) hidden states, c (V, D) output matrix, targets (N,), bias (V,), weights (N,) of any signs, never learnt.
    logits = ``e @ c.T + bias``, then ``softcap * tanh(logits / softcap)`` (Gemma 2); lse: log sum exp of the logits,
    whose square keeps it near 0 (PaLM). A target ``ignore_index`` has weight 0. Tokens of weight 0 may cost nothing,
    and neither their target nor their hidden state, NaN included, reaches a result. A target that counts and is not one
    of 0..V-1 makes loss and gradients NaN.
    reduction: none (N,), sum, or mean, which divides by the sum of the weights (0 where all are 0); return_lse: also
    lse (N,), 0 for tokens of weight 0, for reading alone: it has no gradient. float64 inputs give float64. Output
    matrices (R, V, D) of R models, whose tokens follow one another, give a sum or mean (R,) for each.
    Raises UserError for an unknown reduction and for a soft cap that is not positive.
    """
    if reduction not in REDUCTIONS:
        raise UserError(f"reduction: expected one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    if softcap is not None and not 0 < softcap < math.inf:
        raise UserError(f"softcap: expected a positive number, or None for no cap, got {softcap}")
    targets, weights = targets_and_weights(targets, weights, ignore_index, c.shape[-2], e.dtype)
    single = c.dim() == 2
    if single and kernels.serve("linear_cross_entropy", e, required=e.shape[0] * c.shape[0] > LARGEST_LOGITS):
        from sbp_bayes.kernels import linear_cross_entropy as kernel

        return kernel.linear_cross_entropy(e, c, targets, weights, bias, softcap, reduction, z_loss, return_lse)
    plain = single and bias is None and softcap is None and not z_loss and not return_lse
    if plain and reduction == "sum" and cpu_cross_entropy.serves(e, c):
        return cpu_cross_entropy.weighted_nats(e, c, targets, weights)
    counts = weights != 0
    e = torch.where(counts[:, None], e, 0.0)  # a NaN times a gradient of 0 would be NaN
    logits = linear(e, c) if bias is None else F.linear(e, c, bias)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    losses = F.cross_entropy(logits, targets, reduction="none")
    if z_loss:
        losses = losses + z_loss * logits.logsumexp(1).square()
    losses = torch.where(counts, weights * losses, 0.0)
    if reduction != "none":
        loss = losses.sum() if single else losses.view(len(c), -1).sum(1)
        if reduction == "mean":
            total = weights.sum() if single else weights.view(len(c), -1).sum(1)
            loss = loss / torch.where(total == 0, 1.0, total)
        losses = loss
    return (losses, torch.where(counts, logits.detach().logsumexp(1), 0.0)) if return_lse else losses


def targets_and_weights(
    targets: Tensor, weights: Tensor | None, ignore_index: int, vocabulary: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The rule of `linear_cross_entropy` on which tokens count, for all its forms: targets that are tokens, weights.

    Weights (N,) are 0 where a token does not count, NaN where its target counts and is none of the vocabulary; float64
    for hidden states of that ``dtype``, else float32. Targets (N,) of both are 0.
    """
    dtype = torch.float64 if dtype == torch.float64 else torch.float32
    weights = torch.ones_like(targets, dtype=dtype) if weights is None else weights.detach().to(dtype)
    counts = (targets != ignore_index) & (weights != 0)
    known = (targets >= 0) & (targets < vocabulary)
    weights = torch.where(counts, torch.where(known, weights, math.nan), 0.0)
    return torch.where(counts & known, targets, 0), weights
