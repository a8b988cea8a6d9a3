"""RMSNorm of each head and RoPE in one pass over queries or keys, forwards and backwards; only the input is kept.

Definition: `sbp_bayes.model.operations.qk_norm_rope`. The norm is not rounded before it is turned. The gain's gradient
is summed by each program over its own rows, then over programs: always in the same order.
Shapes: B rows of T tokens, H heads of d numbers; N = B * T * H.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase

PROGRAMS = 512  # of the backward pass, each with every 512th tile of heads


@triton.jit
def load_heads(x, row, column, half, inside):
    """First and second halves of the heads ``row``, in float32: the real and imaginary parts of RoPE."""
    place = row[:, None] * (2 * half) + column[None, :]
    first = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    return first, tl.load(x + place + half, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def store_heads(x, row, column, half, inside, first, second):
    place = row[:, None] * (2 * half) + column[None, :]
    tl.store(x + place, first.to(x.dtype.element_ty), mask=inside)
    tl.store(x + place + half, second.to(x.dtype.element_ty), mask=inside)


@triton.jit
def load_angles(cos, sin, row, column, half, inside, heads, places):
    """Cosines and sines of the tokens that the heads ``row`` belong to; both halves of an angle row are equal."""
    place = ((row // heads) % places)[:, None] * (2 * half) + column[None, :]
    turn = tl.load(cos + place, mask=inside, other=0.0).to(tl.float32)
    return turn, tl.load(sin + place, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def forward_kernel(
    x,
    gain,
    cos,
    sin,
    result,
    N,
    half,
    heads,
    places,
    eps,
    ROWS: tl.constexpr,
    HALF: tl.constexpr,
):
    """Each program: ROWS heads of x (B, T, H, d). cos, sin: (places, d), for places = T or B * T."""
    row = tl.cast(tl.program_id(0), tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, HALF)
    inside = (row < N)[:, None] & (column < half)[None, :]
    first, second = load_heads(x, row, column, half, inside)
    inverse = tl.rsqrt(tl.sum(first * first + second * second, 1) / (2 * half) + eps)[:, None]
    first *= inverse * tl.load(gain + column, mask=column < half, other=0.0).to(tl.float32)[None, :]
    second *= inverse * tl.load(gain + half + column, mask=column < half, other=0.0).to(tl.float32)[None, :]
    cosine, sine = load_angles(cos, sin, row, column, half, inside, heads, places)
    turned = first * cosine - second * sine
    store_heads(result, row, column, half, inside, turned, second * cosine + first * sine)


@triton.jit
def backward_kernel(
    by_result,
    x,
    gain,
    cos,
    sin,
    by_x,
    by_gain,
    N,
    half,
    heads,
    places,
    eps,
    ROWS: tl.constexpr,
    HALF: tl.constexpr,
):
    """Each program: tiles of ROWS heads, as many apart as there are programs, and their share of by_gain (P, d)."""
    column = tl.arange(0, HALF)
    gain_1 = tl.load(gain + column, mask=column < half, other=0.0).to(tl.float32)[None, :]
    gain_2 = tl.load(gain + half + column, mask=column < half, other=0.0).to(tl.float32)[None, :]
    by_gain_1, by_gain_2 = tl.zeros([HALF], tl.float32), tl.zeros([HALF], tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(N, ROWS), tl.num_programs(0)):
        row = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)
        inside = (row < N)[:, None] & (column < half)[None, :]
        unit_1, unit_2 = load_heads(x, row, column, half, inside)
        inverse = tl.rsqrt(tl.sum(unit_1 * unit_1 + unit_2 * unit_2, 1) / (2 * half) + eps)[:, None]
        unit_1 *= inverse
        unit_2 *= inverse
        cosine, sine = load_angles(cos, sin, row, column, half, inside, heads, places)
        turned_1, turned_2 = load_heads(by_result, row, column, half, inside)
        upstream_1 = turned_1 * cosine + turned_2 * sine
        upstream_2 = turned_2 * cosine - turned_1 * sine
        by_gain_1 += tl.sum(upstream_1 * unit_1, 0)
        by_gain_2 += tl.sum(upstream_2 * unit_2, 0)
        upstream_1 *= gain_1
        upstream_2 *= gain_2
        along = (tl.sum(upstream_1 * unit_1 + upstream_2 * unit_2, 1) / (2 * half))[:, None]
        by_1, by_2 = inverse * (upstream_1 - unit_1 * along), inverse * (upstream_2 - unit_2 * along)
        store_heads(by_x, row, column, half, inside, by_1, by_2)
    share = by_gain + tl.cast(tl.program_id(0), tl.int64) * (2 * half) + column
    tl.store(share, by_gain_1, mask=column < half)
    tl.store(share + half, by_gain_2, mask=column < half)


def configuration(head_dim: int) -> dict[str, int]:
    """Tile and warps for heads of ``head_dim``: 16 numbers a thread."""
    half = triton.next_power_of_2(head_dim // 2)
    rows = max(1, 1024 // half)
    return {"ROWS": rows, "HALF": half, "num_warps": max(1, min(8, rows * half // 256))}


def compile_cases() -> Iterator[CompileCase]:
    """Both passes for the heads of the dial's sizes."""
    for kernel in (forward_kernel, backward_kernel):
        for head_dim in (32, 64, 128):
            for dtype in ("bf16", "fp32"):
                every = {
                    **dict.fromkeys(("x", "gain", "cos", "sin", "result", "by_result", "by_x"), f"*{dtype}"),
                    **{"by_gain": "*fp32", "N": "i32", "half": "i32:16", "heads": "i32", "places": "i32:16"},
                    **{"eps": "fp32", **configuration(head_dim)},
                }
                launch = (*kernel.arg_names, "num_warps")
                yield CompileCase(kernel, {name: every[name] for name in launch})


@torch.library.custom_op("sbp_bayes::norm_rope", mutates_args=())
def norm_rope(x: Tensor, gain: Tensor, cos: Tensor, sin: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last dimension of x (B, T, H, d) times ``gain`` (d,), turned by angles (B or 1, 1, T, d)."""
    x, cos, sin = x.contiguous(), cos.contiguous(), sin.contiguous()
    result = torch.empty_like(x)
    if x.numel():
        sizes = _sizes(x, cos)
        options = configuration(x.shape[-1])
        forward_kernel[(triton.cdiv(sizes[0], options["ROWS"]),)](x, gain, cos, sin, result, *sizes, eps, **options)
    return result


@norm_rope.register_fake
def _(x: Tensor, gain: Tensor, cos: Tensor, sin: Tensor, eps: float) -> Tensor:
    return torch.empty_like(x.contiguous())


@torch.library.custom_op("sbp_bayes::norm_rope_backward", mutates_args=())
def _backward(
    by_result: Tensor, x: Tensor, gain: Tensor, cos: Tensor, sin: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    by_result, x, cos, sin = by_result.contiguous(), x.contiguous(), cos.contiguous(), sin.contiguous()
    by_x, d = torch.empty_like(x), x.shape[-1]
    if not x.numel():
        return by_x, torch.zeros_like(gain)
    sizes = _sizes(x, cos)
    options = configuration(d)
    programs = min(PROGRAMS, triton.cdiv(sizes[0], options["ROWS"]))
    by_gain = torch.empty(programs, d, dtype=torch.float32, device=x.device)
    backward_kernel[(programs,)](by_result, x, gain, cos, sin, by_x, by_gain, *sizes, eps, **options)
    return by_x, by_gain.sum(0).to(gain.dtype)


@_backward.register_fake
def _(by_result: Tensor, x: Tensor, gain: Tensor, cos: Tensor, sin: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x.contiguous()), torch.empty_like(gain)


def _keep(ctx, inputs: tuple, output: Tensor) -> None:
    *tensors, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx, by_result: Tensor) -> tuple[Tensor | None, ...]:
    by_x, by_gain = _backward(by_result, *ctx.saved_tensors, ctx.eps)
    return by_x, by_gain, None, None, None


norm_rope.register_autograd(_gradients, setup_context=_keep)


def qk_norm_rope(
    query: Tensor, key: Tensor, query_gain: Tensor, key_gain: Tensor, cos: Tensor, sin: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """As `sbp_bayes.model.operations.qk_norm_rope`: (B, T, H, d) and (B, T, K, d) -> (B, H, T, d) and (B, K, T, d)."""
    turned = norm_rope(query, query_gain, cos, sin, eps), norm_rope(key, key_gain, cos, sin, eps)
    return turned[0].transpose(1, 2), turned[1].transpose(1, 2)


def _sizes(x: Tensor, cos: Tensor) -> tuple[int, int, int, int]:
    """N, half a head, heads a token, and places that have angles of their own."""
    B, T, H, d = x.shape
    assert cos.shape in ((B, 1, T, d), (1, 1, T, d)) and d % 2 == 0
    return B * T * H, d // 2, H, len(cos) * T
