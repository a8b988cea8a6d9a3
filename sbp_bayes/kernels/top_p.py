"""Top-p sampling without a sort: each program narrows down the smallest logit that its row keeps.

Definition: `sbp_bayes.synthesis.sampler.truncate` and `inverse_cdf`. A token is kept where all tokens more likely than
it have less than top_p of the probability. That share falls as the logit rises, so three pivots at a time quarter the
range of float32 numbers in which the smallest logit kept must lie, until one logit is left in it: sixteen passes over
the row at most, whatever it holds (pivots in place of a sort: FlashInfer, Ye et al. 2025). R rows, V vocabulary.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase

BLOCK = 4096
INFINITY = tl.constexpr(float("inf"))
NOTHING = tl.constexpr(-104.0)  # the exponential of less is zero in float32


@triton.jit
def rank(x):
    """A float32 number's place among all of them, int64."""
    bits = tl.cast(x, tl.int32, bitcast=True)
    return tl.cast(tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits), tl.int64)


@triton.jit
def number(place):
    """The float32 number of a `rank`."""
    bits = tl.cast(place, tl.int32)
    return tl.cast(tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits), tl.float32, bitcast=True)


@triton.jit
def weights(base, column, V, highest, sharpness):
    """Logits of a block, and what they weigh beside the highest; nothing beyond the row's end."""
    x = tl.load(base + column, mask=column < V, other=-INFINITY).to(tl.float32)
    return x, tl.exp((x - highest) * sharpness)


@triton.jit
def draw_kernel(
    logits,
    uniforms,
    drawn,
    V,
    row_stride,
    temperature,
    top_p,
    BLOCK: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """One row a program; -1 where no logit is finite."""
    row = tl.cast(tl.program_id(0), tl.int64)
    base, sharpness = logits + row * row_stride, 1.0 / temperature
    tops = tl.full([BLOCK], -INFINITY, tl.float32)
    for start in range(0, V, BLOCK):
        column = start + tl.arange(0, BLOCK)
        tops = tl.maximum(tops, tl.load(base + column, mask=column < V, other=-INFINITY).to(tl.float32))
    highest = tl.max(tops, 0)
    least = -INFINITY
    if TRUNCATE:
        total = tl.zeros([BLOCK], tl.float32)
        for start in range(0, V, BLOCK):
            _, w = weights(base, start + tl.arange(0, BLOCK), V, highest, sharpness)
            total += w
        enough = top_p * tl.sum(total, 0)
        # Above number(low) lies enough, above number(high) not: number(high) becomes the smallest logit kept.
        low, high = rank(highest + NOTHING * temperature) - 1, rank(highest)
        while high - low > 1:
            first, second = low + tl.maximum((high - low) // 4, 1), low + (high - low) // 2
            third = low + (high - low) * 3 // 4
            floor, pivot1, pivot2 = number(low), number(first), number(second)
            pivot3, ceiling = number(third), number(high)
            above1 = tl.zeros([BLOCK], tl.float32)
            above2 = tl.zeros([BLOCK], tl.float32)
            above3 = tl.zeros([BLOCK], tl.float32)
            lows = tl.full([BLOCK], INFINITY, tl.float32)
            highs = tl.full([BLOCK], -INFINITY, tl.float32)
            for start in range(0, V, BLOCK):
                x, w = weights(base, start + tl.arange(0, BLOCK), V, highest, sharpness)
                above1 += tl.where(x > pivot1, w, 0.0)
                above2 += tl.where(x > pivot2, w, 0.0)
                above3 += tl.where(x > pivot3, w, 0.0)
                lows = tl.where(x > floor, tl.minimum(lows, x), lows)
                highs = tl.where(x <= ceiling, tl.maximum(highs, x), highs)
            less1, less2 = tl.sum(above1, 0) < enough, tl.sum(above2, 0) < enough
            less3 = tl.sum(above3, 0) < enough
            low = tl.where(less1, low, tl.where(less2, first, tl.where(less3, second, third)))
            high = tl.where(less1, first, tl.where(less2, second, tl.where(less3, third, high)))
            # No logit lies between the bounds and those nearest within them.
            low = tl.maximum(low, rank(tl.min(lows, 0)) - 1)
            high = tl.minimum(high, rank(tl.max(highs, 0)))
        least = number(high)
    # Sums in float64: behind a likely token the rarest are still drawn as often as they should be.
    mass = tl.full([], 0.0, tl.float64)
    for start in range(0, V, BLOCK):
        x, w = weights(base, start + tl.arange(0, BLOCK), V, highest, sharpness)
        mass += tl.sum(tl.where(x >= least, w, 0.0).to(tl.float64), 0)
    left = tl.load(uniforms + row) * mass
    found = tl.full([], -1, tl.int32)
    last = tl.full([], -1, tl.int32)  # drawn where rounding lets the sum end below its target
    for start in range(0, V, BLOCK):
        column = start + tl.arange(0, BLOCK)
        x, w = weights(base, column, V, highest, sharpness)
        w = tl.where(x >= least, w, 0.0).to(tl.float64)
        share = tl.sum(w, 0)
        if (found < 0) & (left < share):
            place = tl.min(tl.where((tl.cumsum(w, 0) > left) & (w > 0), column, V), 0)
            found = tl.where(place < V, place, -1)
        last = tl.maximum(last, tl.max(tl.where(w > 0, column, -1), 0))
        left -= share
    tl.store(drawn + row, tl.cast(tl.where(found < 0, last, found), tl.int64))


def configuration(vocabulary: int) -> dict[str, int]:
    """Block and warps for rows of ``vocabulary`` logits: 8 a thread."""
    block = min(BLOCK, triton.next_power_of_2(vocabulary))
    return {"BLOCK": block, "num_warps": max(1, min(16, block // 256))}


def compile_cases() -> Iterator[CompileCase]:
    """Logits in either type, small vocabularies and large, with the search and without."""
    arguments = {"uniforms": "*fp64", "drawn": "*i64", "V": "i32:16", "row_stride": "i32:16"}
    arguments |= {"temperature": "fp32", "top_p": "fp32"}
    for dtype in ("bf16", "fp32"):
        for vocabulary, search in ((64, True), (131_072, True), (131_072, False)):
            logits = {"logits": f"*{dtype}", "TRUNCATE": search}
            yield CompileCase(draw_kernel, {**logits, **arguments, **configuration(vocabulary)})


@torch.library.custom_op("sbp_bayes::top_p_draw", mutates_args=())
def draw(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token of each row's nucleus, (R,) int64, the first whose share of it in order of tokens exceeds the uniform.

    logits (R, V) float32 or bfloat16, -inf for tokens that may not be drawn; uniforms (R,) float64 in [0, 1).
    """
    R, V = logits.shape
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    drawn = torch.empty(R, dtype=torch.int64, device=logits.device)
    if R:
        arguments = logits, uniforms.double().contiguous(), drawn, V, logits.stride(0), temperature, top_p
        draw_kernel[(R,)](*arguments, TRUNCATE=top_p < 1, **configuration(V))
    return drawn


@draw.register_fake
def _(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    return logits.new_empty(len(logits), dtype=torch.int64)
