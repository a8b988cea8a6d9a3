"""Exact nearest neighbours by inner product: tiles of scores on the tensor cores, each row's best in registers.

Definition: `sbp_bayes.pairing.neighbours.top_k`. All M x N scores never exist. A tile that holds nothing better than
what a row has costs one maximum; each score that is better replaces the row's worst, one a row at a time. A random
order of keys brings a row about k (1 + ln(N / k)) of them in all. Shapes: M queries, N keys, D width.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase

LARGEST = 128  # neighbours that fit in registers
PROGRAMS = 264  # two for each processor of an H200; where queries alone don't make as many, keys are divided
INFINITY = tl.constexpr(float("inf"))
NO_INDEX = tl.constexpr(-(2**31))


@triton.jit
def search_kernel(
    queries,
    keys,
    scores,
    indices,
    M,
    N,
    D,
    span,
    K: tl.constexpr,
    OTHERS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """Each program: ROWS queries against ``span`` keys, K scores and indices of each in no order: (M, parts, K).

    OTHERS: query i is key i and is not among its own neighbours.
    """
    # float32 in three TF32 products, which keep its digits.
    PRECISION: tl.constexpr = "tf32x3" if keys.dtype.element_ty == tl.float32 else "ieee"
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    query = queries + tl.cast(row, tl.int64)[:, None] * D
    first = tl.program_id(1) * span
    end = tl.minimum(first + span, N)
    best = tl.full([ROWS, K], -INFINITY, tl.float32)
    index = tl.zeros([ROWS, K], tl.int32) - 1 - tl.arange(0, K)[None, :]  # empty places, each its own number
    worst = tl.full([ROWS], -INFINITY, tl.float32)
    for start in range(first, end, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        key = keys + tl.cast(column, tl.int64)[None, :] * D
        tile = tl.zeros([ROWS, COLUMNS], tl.float32)
        for begin in range(0, D, DEPTH):
            depth = begin + tl.arange(0, DEPTH)
            a = tl.load(query + depth[None, :], mask=(row < M)[:, None] & (depth < D)[None, :], other=0.0)
            b = tl.load(key + depth[:, None], mask=(column < end)[None, :] & (depth < D)[:, None], other=0.0)
            tile = tl.dot(a, b, tile, input_precision=PRECISION)
        allowed = (row < M)[:, None] & (column < end)[None, :]
        if OTHERS:
            allowed = allowed & (row[:, None] != column[None, :])
        tile = tl.where(allowed & (tile == tile), tile, -INFINITY)  # no NaN
        top, at = tl.max(tile, 1, return_indices=True)
        while tl.max((top > worst).to(tl.int32), 0) > 0:
            better = top > worst
            # Of equal scores the first stays: the last index gives way, and a later equal does not come in.
            lowest = best == worst[:, None]
            last = tl.max(tl.where(lowest, index, NO_INDEX), 1)
            replaced = better[:, None] & lowest & (index == last[:, None])
            best = tl.where(replaced, top[:, None], best)
            index = tl.where(replaced, start + at[:, None], index)
            worst = tl.min(best, 1)
            tile = tl.where(tl.arange(0, COLUMNS)[None, :] == at[:, None], -INFINITY, tile)
            top, at = tl.max(tile, 1, return_indices=True)
    place = (tl.cast(row, tl.int64) * tl.num_programs(1) + tl.program_id(1))[:, None] * K + tl.arange(0, K)[None, :]
    tl.store(scores + place, best, mask=(row < M)[:, None])
    tl.store(indices + place, index, mask=(row < M)[:, None])


def configuration(dtype: torch.dtype, k: int) -> dict[str, int]:
    """Tiles for ``k`` neighbours of bfloat16 or float32 vectors."""
    K = max(2, triton.next_power_of_2(k))
    if dtype == torch.bfloat16:
        rows, columns, depth = 128 if K <= 32 else 64, 128, 32
    else:
        rows, columns, depth = 64, 128 if K <= 32 else 32, 16
    return {"K": K, "ROWS": rows, "COLUMNS": columns, "DEPTH": depth, "num_warps": 8, "num_stages": 4}


def compile_cases() -> Iterator[CompileCase]:
    """Both types, few neighbours and many."""
    results = {"scores": "*fp32", "indices": "*i32", "M": "i32", "N": "i32", "D": "i32:16", "span": "i32:16"}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        for k in (32, LARGEST):
            vectors = {"queries": f"*{name}", "keys": f"*{name}", **results, "OTHERS": True}
            yield CompileCase(search_kernel, {**vectors, **configuration(dtype, k)}, ("HMMA", "HGMMA"))


@torch.library.custom_op("sbp_bayes::cosine_top_k", mutates_args=())
def cosine_top_k(queries: Tensor, keys: Tensor, k: int, others: bool) -> tuple[Tensor, Tensor]:
    """The k keys of the largest inner product with each query: scores (M, k) float32 and indices (M, k) int64.

    queries (M, D), keys (N, D) of one type, bfloat16 or float32, unit vectors where the score is to be the cosine;
    k up to `LARGEST`. Best first, equal scores by index; -inf and -1 where there are fewer. others: query i is key i,
    no neighbour of its own. A key whose product is NaN is no neighbour either.
    """
    queries, keys = queries.contiguous(), keys.contiguous()
    M, D = queries.shape
    options = configuration(queries.dtype, k)
    tiles, blocks = triton.cdiv(M, options["ROWS"]), triton.cdiv(len(keys), options["COLUMNS"])
    parts = max(1, min(blocks, PROGRAMS // max(1, tiles)))
    span = triton.cdiv(blocks, parts) * options["COLUMNS"]
    scores = torch.empty(M, parts, options["K"], dtype=torch.float32, device=queries.device)
    indices = torch.empty_like(scores, dtype=torch.int32)
    if M:
        search_kernel[(tiles, parts)](queries, keys, scores, indices, M, len(keys), D, span, OTHERS=others, **options)
    indices, order = indices.flatten(1).long().sort(dim=1)
    scores, order = scores.flatten(1).gather(1, order).sort(dim=1, descending=True, stable=True)
    scores, indices = scores[:, :k].contiguous(), indices.gather(1, order)[:, :k]
    return scores, indices.masked_fill(scores == -torch.inf, -1)


@cosine_top_k.register_fake
def _(queries: Tensor, keys: Tensor, k: int, others: bool) -> tuple[Tensor, Tensor]:
    shape = len(queries), k
    return queries.new_empty(shape, dtype=torch.float32), queries.new_empty(shape, dtype=torch.int64)
