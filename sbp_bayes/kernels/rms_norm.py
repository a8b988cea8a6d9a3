"""Residual addition and RMSNorm in one pass over memory, forwards and backwards.

Definition: `sbp_bayes.model.operations.add_rms_norm`. The sum is rounded to the tensors' type before it is normalised,
as there. The gain's gradient is summed by each program over its own rows, then over programs: always in the same order.
Shapes: N rows, D width.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase

PROGRAMS = 512  # of the backward pass, each with every 512th tile of rows: about four to a processor


@triton.jit
def forward_kernel(
    x,
    residual,
    weight,
    normed,
    total,
    inverse_rms,
    N,
    D,
    eps,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    ADD: tl.constexpr,
):
    """Each program: ROWS rows, at once."""
    row = tl.cast(tl.program_id(0), tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, WIDTH)
    inside = (row < N)[:, None] & (column < D)[None, :]
    place = row[:, None] * D + column[None, :]
    values = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    if ADD:
        values += tl.load(residual + place, mask=inside, other=0.0).to(tl.float32)
        rounded = values.to(total.dtype.element_ty)
        tl.store(total + place, rounded, mask=inside)
        values = rounded.to(tl.float32)
    inverse = tl.rsqrt(tl.sum(values * values, 1) / D + eps)
    gain = tl.load(weight + column, mask=column < D, other=0.0).to(tl.float32)
    result = values * inverse[:, None] * gain[None, :]
    tl.store(normed + place, result.to(normed.dtype.element_ty), mask=inside)
    tl.store(inverse_rms + row, inverse, mask=row < N)


@triton.jit
def backward_kernel(
    by_normed,
    by_total,
    total,
    weight,
    inverse_rms,
    by_x,
    by_weight,
    N,
    D,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    ADD: tl.constexpr,
):
    """Each program: tiles of ROWS rows, as many apart as there are programs, and their share of by_weight (P, D)."""
    column = tl.arange(0, WIDTH)
    gain = tl.load(weight + column, mask=column < D, other=0.0).to(tl.float32)
    by_gain = tl.zeros([WIDTH], tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(N, ROWS), tl.num_programs(0)):
        row = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)
        inside = (row < N)[:, None] & (column < D)[None, :]
        place = row[:, None] * D + column[None, :]
        inverse = tl.load(inverse_rms + row, mask=row < N, other=0.0)
        unit = tl.load(total + place, mask=inside, other=0.0).to(tl.float32) * inverse[:, None]
        upstream = tl.load(by_normed + place, mask=inside, other=0.0).to(tl.float32)
        by_gain += tl.sum(upstream * unit, 0)
        upstream *= gain[None, :]
        along = tl.sum(upstream * unit, 1) / D
        gradient = inverse[:, None] * (upstream - unit * along[:, None])
        if ADD:
            gradient += tl.load(by_total + place, mask=inside, other=0.0).to(tl.float32)
        tl.store(by_x + place, gradient.to(by_x.dtype.element_ty), mask=inside)
    tl.store(by_weight + tl.cast(tl.program_id(0), tl.int64) * D + column, by_gain, mask=column < D)


def configuration(width: int) -> dict[str, int]:
    """Tile and warps for rows of ``width``: 8 or 16 numbers a thread."""
    padded = triton.next_power_of_2(width)
    rows = max(1, 1024 // padded)
    return {"ROWS": rows, "WIDTH": padded, "num_warps": min(16, max(1, rows * padded // 256))}


def compile_cases() -> Iterator[CompileCase]:
    """Both passes with and without a residual: the width of a head, of the 6B model, and the largest taken."""
    for kernel in (forward_kernel, backward_kernel):
        for width in (128, 4096, 8192):
            for dtype in ("bf16", "fp32"):
                for add in (False, True):
                    names = ("x", "residual", "total", "normed", "by_normed", "by_total", "by_x", "weight")
                    every = {
                        **dict.fromkeys(names, f"*{dtype}"),
                        **({} if add else {"residual": None, "by_total": None}),
                        **{"inverse_rms": "*fp32", "by_weight": "*fp32", "N": "i32", "D": "i32:16", "eps": "fp32"},
                        **{"ADD": add, **configuration(width)},
                    }
                    launch = (*kernel.arg_names, "num_warps")
                    yield CompileCase(kernel, {name: every[name] for name in launch})


@torch.library.custom_op("sbp_bayes::add_rms_norm", mutates_args=())
def _forward(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normed rows, the sum (empty without a residual) and 1/rms (N,)."""
    x = x.contiguous()
    residual = None if residual is None else residual.contiguous()
    D = x.shape[-1]
    N = x.numel() // D
    normed, inverse_rms = torch.empty_like(x), torch.empty(N, dtype=torch.float32, device=x.device)
    total = x.new_empty(0) if residual is None else torch.empty_like(x)
    if N:
        options = configuration(D)
        arguments = x, residual, weight, normed, total, inverse_rms, N, D, eps
        forward_kernel[(triton.cdiv(N, options["ROWS"]),)](*arguments, ADD=residual is not None, **options)
    return normed, total, inverse_rms


@_forward.register_fake
def _(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    x = x.contiguous()
    total = x.new_empty(0) if residual is None else torch.empty_like(x)
    return torch.empty_like(x), total, x.new_empty(x.numel() // x.shape[-1], dtype=torch.float32)


@torch.library.custom_op("sbp_bayes::add_rms_norm_backward", mutates_args=())
def _backward(
    by_normed: Tensor, by_total: Tensor | None, total: Tensor, weight: Tensor, inverse_rms: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients by the sum, which are those by x and by the residual, and by the gain."""
    total, by_normed = total.contiguous(), by_normed.contiguous()
    by_total = None if by_total is None else by_total.contiguous()
    N, D = len(inverse_rms), total.shape[-1]
    options = configuration(D)
    programs = min(PROGRAMS, triton.cdiv(N, options["ROWS"]))
    by_x, by_weight = torch.empty_like(total), torch.empty(programs, D, dtype=torch.float32, device=total.device)
    if N:
        arguments = by_normed, by_total, total, weight, inverse_rms, by_x, by_weight, N, D
        backward_kernel[(programs,)](*arguments, ADD=by_total is not None, **options)
    return by_x, by_weight.sum(0).to(weight.dtype)


@_backward.register_fake
def _(
    by_normed: Tensor, by_total: Tensor | None, total: Tensor, weight: Tensor, inverse_rms: Tensor
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(total.contiguous()), torch.empty_like(weight)


def _keep(ctx, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, residual, weight, _ = inputs
    _, total, inverse_rms = output
    ctx.added = residual is not None
    ctx.save_for_backward(total if ctx.added else x, weight, inverse_rms)
    ctx.mark_non_differentiable(inverse_rms)
    ctx.set_materialize_grads(False)


def _gradients(ctx, by_normed: Tensor | None, by_total: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    total, weight, inverse_rms = ctx.saved_tensors
    if by_normed is None:  # only the sum was used
        return by_total, by_total, None, None
    by_x, by_weight = _backward(by_normed, by_total if ctx.added else None, total, weight, inverse_rms)
    return by_x, by_x if ctx.added else None, by_weight, None


_forward.register_autograd(_gradients, setup_context=_keep)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """``x / rms(x) * weight`` over the last dimension."""
    return _forward(x, None, weight, eps)[0]


def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """``rms_norm(x + residual)`` and the sum."""
    normed, total, _ = _forward(x, residual, weight, eps)
    return normed, total
