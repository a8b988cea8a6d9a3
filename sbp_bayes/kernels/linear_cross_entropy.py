"""Linear cross-entropy over the weighted tokens only: logits in chunks of rows, one Triton program a row.

Tokens of weight 0 (the d1 half of a pair, padding) are dropped before the head's matrix product and cost nothing; what
their rows hold, NaN included, cannot reach a result. For a sum or a mean, gradients are computed with the loss, over
the chunk's logits; for one loss a token, in the backward pass, from logits computed again. All logits never exist at
once (Wijmans et al. 2024, Hsu et al. 2024). Definition: `sbp_bayes.model.operations.linear_cross_entropy`.
Shapes: N tokens, D width, V vocabulary.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase

CHUNK_ELEMENTS = 2**29  # logits of one chunk: 1 GiB in bfloat16, 4096 rows at a vocabulary of 128k
BLOCK = 4096
INFINITY = tl.constexpr(float("inf"))


@triton.jit
def tanh(x):
    """tanh in float32 to about its last digit (Cephes): a polynomial where 1 - 2 / (exp(2x) + 1) would lose digits."""
    square = x * x
    series = -5.70498872745e-3 * square + 2.06390887954e-2
    series = (series * square - 5.37397155531e-2) * square + 1.33314422036e-1
    series = x + x * square * (series * square - 3.33332819422e-1)
    size = 1 - 2 / (tl.exp(2 * tl.abs(x)) + 1)
    return tl.where(tl.abs(x) < 0.625, series, tl.where(x < 0, -size, size))


@triton.jit
def read(base, column, V, softcap, CAPPED: tl.constexpr):
    """Logits of one row in float32, soft-capped where CAPPED; -inf beyond the row."""
    x = tl.load(base + column, mask=column < V, other=-INFINITY).to(tl.float32)
    if CAPPED:
        x = tl.where(column < V, softcap * tanh(x / softcap), -INFINITY)
    return x


@triton.jit
def row_kernel(
    logits,
    targets,
    weights,
    losses,
    log_totals,
    V,
    row_stride,
    softcap,
    z_loss,
    BLOCK: tl.constexpr,
    CAPPED: tl.constexpr,
    GRADIENT: tl.constexpr,
):
    """One row a program: weight * (log sum exp - logit of the target + z_loss * (log sum exp)^2), and log sum exp.

    Where GRADIENT the loss's gradient is written over the logits. One pass over the row finds maximum and sum together,
    lane by lane; they are joined at the end. A target out of range gives NaN.
    """
    row = tl.cast(tl.program_id(0), tl.int64)
    base = logits + row * row_stride
    target = tl.load(targets + row)
    weight = tl.load(weights + row).to(tl.float32)
    top = tl.full([BLOCK], -INFINITY, tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, V, BLOCK):
        x = read(base, start + tl.arange(0, BLOCK), V, softcap, CAPPED)
        higher = tl.maximum(top, x)
        # Where both are -inf their difference would be NaN.
        total = total * tl.exp(tl.where(top == higher, 0.0, top - higher))
        total += tl.where(x == -INFINITY, 0.0, tl.exp(x - higher))
        top = higher
    highest = tl.max(top, 0)
    above = tl.sum(total * tl.exp(top - highest), 0)  # sum of exp(x - highest)
    log_total = highest + tl.log(above)
    at_target = tl.load(base + target, mask=(target >= 0) & (target < V), other=float("nan")).to(tl.float32)
    if CAPPED:
        at_target = softcap * tanh(at_target / softcap)
    tl.store(losses + row, weight * (highest - at_target + tl.log(above) + z_loss * log_total * log_total))
    tl.store(log_totals + row, log_total)
    if GRADIENT:
        tl.debug_barrier()  # every lane has read its logits before any are overwritten
        share = weight * (1 + 2 * z_loss * log_total) / above
        for start in range(0, V, BLOCK):
            column = start + tl.arange(0, BLOCK)
            x = read(base, column, V, softcap, CAPPED)
            gradient = share * tl.exp(x - highest) - tl.where(column == target, weight, 0.0)
            if CAPPED:
                gradient *= 1 - (x / softcap) * (x / softcap)
            tl.store(base + column, gradient.to(logits.dtype.element_ty), mask=column < V)


def configuration(vocabulary: int) -> dict[str, int]:
    """Block and warps for rows of ``vocabulary`` logits."""
    block = min(BLOCK, triton.next_power_of_2(vocabulary))
    return {"BLOCK": block, "num_warps": max(1, min(8, block // 256))}


def compile_cases() -> Iterator[CompileCase]:
    """Scoring and training, for a world's vocabulary and for a language model's, and with a soft cap."""
    for vocabulary in (64, 128_256):
        for dtype in ("bf16", "fp32"):
            for capped, gradient in ((False, False), (False, True), (True, True)):
                arguments = {
                    **{"logits": f"*{dtype}", "targets": "*i64"},
                    **dict.fromkeys(("weights", "losses", "log_totals"), "*fp32"),
                    **{"V": "i32:16", "row_stride": "i32:16", "softcap": "fp32", "z_loss": "fp32"},
                    **{"CAPPED": capped, "GRADIENT": gradient, **configuration(vocabulary)},
                }
                yield CompileCase(row_kernel, arguments)


@torch.library.custom_op("sbp_bayes::linear_cross_entropy_sum", mutates_args=())
def _sum(
    e: Tensor,
    c: Tensor,
    targets: Tensor,
    bias: Tensor | None,
    weights: Tensor,
    softcap: float,
    z_loss: float,
    e_too: bool,
    c_too: bool,
    bias_too: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The weighted sum of losses, log sum exp (N,), and the sum's gradients where asked for, else empty tensors.

    That by the bias stays in float32.
    """
    by_e = e.new_zeros(e.shape) if e_too else e.new_empty(0)
    by_bias = c.new_zeros(len(c) if bias_too else 0, dtype=torch.float32)
    by_c = None
    loss, log_totals = e.new_zeros((), dtype=torch.float32), e.new_zeros(len(e), dtype=torch.float32)
    for rows in _kept(weights, c):
        some = e[rows]
        logits = F.linear(some, c, bias)
        losses, of_rows = _row_losses(logits, targets[rows], weights[rows], softcap, z_loss, e_too or c_too or bias_too)
        loss += losses.sum()
        log_totals[rows] = of_rows
        if e_too:
            by_e.index_copy_(0, rows, logits @ c)
        if c_too:  # sums of chunks in float32; one chunk alone needs no sum
            part = logits.T @ some
            by_c = part if by_c is None else by_c.float().add_(part)
        if bias_too:
            by_bias += logits.sum(0, dtype=torch.float32)
    if by_c is None:
        by_c = c.new_zeros(c.shape) if c_too else c.new_empty(0)
    return loss, log_totals, by_e, by_c.to(c.dtype), by_bias


@_sum.register_fake
def _(
    e: Tensor,
    c: Tensor,
    targets: Tensor,
    bias: Tensor | None,
    weights: Tensor,
    softcap: float,
    z_loss: float,
    e_too: bool,
    c_too: bool,
    bias_too: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return (
        e.new_empty((), dtype=torch.float32),
        e.new_empty(e.shape[0], dtype=torch.float32),
        e.new_empty(e.shape) if e_too else e.new_empty(0),
        c.new_empty(c.shape) if c_too else c.new_empty(0),
        c.new_empty(c.shape[0] if bias_too else 0, dtype=torch.float32),
    )


def _keep_gradients(ctx, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    _, log_totals, *gradients = output
    ctx.save_for_backward(*gradients)
    ctx.mark_non_differentiable(log_totals, *gradients)
    ctx.set_materialize_grads(False)


def _scale_gradients(ctx, upstream: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    def scaled(kept: Tensor, place: int) -> Tensor | None:
        return (kept * upstream).to(by_c.dtype) if upstream is not None and ctx.needs_input_grad[place] else None

    by_e, by_c, by_bias = ctx.saved_tensors
    return scaled(by_e, 0), scaled(by_c, 1), None, scaled(by_bias, 3), *[None] * 6


_sum.register_autograd(_scale_gradients, setup_context=_keep_gradients)


@torch.library.custom_op("sbp_bayes::linear_cross_entropy_each", mutates_args=())
def _each(
    e: Tensor, c: Tensor, targets: Tensor, bias: Tensor | None, weights: Tensor, softcap: float, z_loss: float
) -> tuple[Tensor, Tensor]:
    """Weighted loss and log sum exp (N,) of each token."""
    losses, log_totals = (e.new_zeros(len(e), dtype=torch.float32) for _ in range(2))
    for rows in _kept(weights, c):
        logits = F.linear(e[rows], c, bias)
        losses[rows], log_totals[rows] = _row_losses(logits, targets[rows], weights[rows], softcap, z_loss, False)
    return losses, log_totals


@_each.register_fake
def _(
    e: Tensor, c: Tensor, targets: Tensor, bias: Tensor | None, weights: Tensor, softcap: float, z_loss: float
) -> tuple[Tensor, Tensor]:
    return e.new_empty(e.shape[0], dtype=torch.float32), e.new_empty(e.shape[0], dtype=torch.float32)


def _keep_inputs(ctx, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.softcap, ctx.z_loss = inputs
    ctx.save_for_backward(*tensors)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _gradients_of_each(ctx, upstream: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if upstream is None:
        return (None,) * 7
    e, c, targets, bias, weights = ctx.saved_tensors
    needed = [ctx.needs_input_grad[place] for place in (0, 1, 3)]
    gradients = _sum(e, c, targets, bias, weights * upstream, ctx.softcap, ctx.z_loss, *needed)[2:]
    by_e, by_c, by_bias = (x.to(c.dtype) if wanted else None for x, wanted in zip(gradients, needed, strict=True))
    return by_e, by_c, None, by_bias, None, None, None


_each.register_autograd(_gradients_of_each, setup_context=_keep_inputs)


def linear_cross_entropy(
    e: Tensor,
    c: Tensor,
    targets: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    softcap: float | None = None,
    reduction: str = "mean",
    z_loss: float = 0.0,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """As `sbp_bayes.model.operations.linear_cross_entropy`, of its `targets_and_weights`.

    The weights and the returned log sum exp have no gradient. Under autocast in its type, as a linear map would be.
    """
    if torch.is_autocast_enabled(e.device.type):
        low = torch.get_autocast_dtype(e.device.type)
        e, c, bias = e.to(low), c.to(low), None if bias is None else bias.to(low)
    weights = weights.float()
    if reduction == "mean":
        total = weights.sum()
        weights = torch.where(weights != 0, weights / torch.where(total == 0, 1.0, total), 0.0)  # 0 / NaN is NaN
    inputs = e, c, targets, bias, weights, softcap or 0.0, z_loss
    if reduction == "none":
        loss, log_totals = _each(*inputs)
    else:
        wanted = [torch.is_grad_enabled() and x is not None and x.requires_grad for x in (e, c, bias)]
        loss, log_totals, *_ = _sum(*inputs, *wanted)
    return (loss, log_totals) if return_lse else loss


def _kept(weights: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    """Indices of the tokens that count, in chunks. Waits for the device, as their number is data."""
    kept = weights.nonzero()[:, 0]
    return kept.split(max(1, CHUNK_ELEMENTS // len(c))) if len(kept) else ()


def _row_losses(
    logits: Tensor, targets: Tensor, weights: Tensor, softcap: float, z_loss: float, gradient: bool
) -> tuple[Tensor, Tensor]:
    """Weighted losses and log sums (rows,); where ``gradient``, the logits become their gradient."""
    losses, log_totals = (torch.empty(len(logits), dtype=torch.float32, device=logits.device) for _ in range(2))
    V = logits.shape[1]
    row_kernel[(len(logits),)](
        *(logits, targets, weights, losses, log_totals, V, logits.stride(0), softcap, z_loss),
        CAPPED=softcap > 0,
        GRADIENT=gradient,
        **configuration(V),
    )
    return losses, log_totals
