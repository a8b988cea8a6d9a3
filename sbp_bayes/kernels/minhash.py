"""Shingles and their MinHash signatures in one pass over the tokens, in 64-bit arithmetic that wraps around.

Definition, equal to the bit: `sbp_bayes.pairing.minhash.signatures`. A program takes one document. PyTorch has no
arithmetic on uint64, so the tensors are int64 with the same bits. Shapes: N documents, T tokens, K terms, H hashes.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase
from sbp_bayes.pairing import near_duplicates

MULTIPLIER = tl.constexpr(int(near_duplicates.MULTIPLIER))
NO_SHINGLE = tl.constexpr(2**64 - 1)
TILE = 4096  # shingles times hashes that a program works on at a time


@triton.jit
def mix(x):
    """SplitMix64's permutation."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)


@triton.jit
def signature_kernel(
    ids,
    offsets,
    hashes,
    multipliers,
    increments,
    signatures,
    n,
    H,
    SHINGLES: tl.constexpr,
    HASHES: tl.constexpr,
):
    """One document a program."""
    document = tl.cast(tl.program_id(0), tl.int64)
    begin, end = tl.load(offsets + document), tl.load(offsets + document + 1)
    h = tl.arange(0, HASHES)
    a = tl.load(multipliers + h, mask=h < H, other=1).to(tl.uint64, bitcast=True)
    b = tl.load(increments + h, mask=h < H, other=0).to(tl.uint64, bitcast=True)
    least = tl.full([SHINGLES, HASHES], NO_SHINGLE, tl.uint64)
    for start in range(begin, end, SHINGLES):
        position = start + tl.arange(0, SHINGLES)
        shingle = tl.zeros([SHINGLES], tl.uint64)
        for j in range(n):
            inside = position + j < end
            term = tl.load(ids + position + j, mask=inside, other=0)
            word = tl.load(hashes + term, mask=inside, other=0).to(tl.uint64, bitcast=True)
            shingle = shingle * MULTIPLIER + tl.where(inside, word | 1, 0)
        # Whole, or the whole of a short document.
        whole = (position + n <= end) | (position == begin)
        value = mix(shingle)[:, None] * a[None, :] + b[None, :]
        least = tl.minimum(least, tl.where(whole[:, None], value, NO_SHINGLE))
    tl.store(signatures + document * H + h, tl.min(least, 0).to(tl.int64, bitcast=True), mask=h < H)


def configuration(hashes: int) -> dict[str, int]:
    """Tile and warps for ``hashes`` hashes: 32 numbers of 64 bits a thread."""
    columns = triton.next_power_of_2(hashes)
    return {"SHINGLES": max(1, TILE // columns), "HASHES": columns, "num_warps": max(4, columns // 1024)}


def compile_cases() -> Iterator[CompileCase]:
    """Signatures short and long."""
    pointers = dict.fromkeys(("ids", "offsets", "hashes", "multipliers", "increments", "signatures"), "*i64")
    for hashes in (16, 128, 1024):
        yield CompileCase(signature_kernel, {**pointers, "n": "i32", "H": "i32", **configuration(hashes)})


@torch.library.custom_op("sbp_bayes::minhash", mutates_args=())
def minhash(ids: Tensor, offsets: Tensor, hashes: Tensor, multipliers: Tensor, increments: Tensor, n: int) -> Tensor:
    """(N, H) int64 signatures of documents, their unsigned bits.

    ids (T,), offsets (N + 1,): document i is ids[offsets[i]:offsets[i + 1]]; hashes (K,) of the terms; multipliers
    (H,), odd, and increments (H,): the permutations; all int64 and contiguous. n: terms of a shingle.
    """
    documents, H = len(offsets) - 1, len(multipliers)
    signatures = torch.empty(documents, H, dtype=torch.int64, device=ids.device)
    if documents:
        arguments = ids, offsets, hashes, multipliers, increments, signatures, n, H
        signature_kernel[(documents,)](*arguments, **configuration(H))
    return signatures


@minhash.register_fake
def _(ids: Tensor, offsets: Tensor, hashes: Tensor, multipliers: Tensor, increments: Tensor, n: int) -> Tensor:
    return ids.new_empty(len(offsets) - 1, len(multipliers))
