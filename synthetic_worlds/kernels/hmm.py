"""W4 on a GPU: the scaled forward algorithm of many documents under many models, each in one program from end to end.

The PyTorch form, which is the definition, is `hmm_forward.ScaledForward`; this does the same arithmetic in the same
order of steps, float64, with one tensor-core product a step and the state in registers: it reads a document's tokens
once a model and writes one number. Memory beyond the arguments and results: one byte a document and model.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from synthetic_worlds.kernels import HMM_STATES


@triton.jit
def forward_kernel(
    initial,
    transition,
    emission,
    tokens,
    result,
    lossy,
    B,
    L,
    V,
    S,
    K,
    block,
    SMALLEST_SHARE: tl.constexpr,  # as an argument it would be float32, where 1e-100 is zero
    DOCUMENTS: tl.constexpr,
    STATES: tl.constexpr,
    EVERY: tl.constexpr,
):
    """Each program: DOCUMENTS columns of tokens (L, B) under one of K models. emission is (K, V, S).

    result is (L + 1, K, B) where EVERY, log p(x_<t | model), and otherwise (K, B), the last of these; lossy is (K, B).
    """
    tiles = tl.cdiv(B, DOCUMENTS)
    model = tl.cast(tl.program_id(0) // tiles, tl.int64)
    document = tl.cast(tl.program_id(0) % tiles, tl.int64) * DOCUMENTS + tl.arange(0, DOCUMENTS)
    state = tl.arange(0, STATES)
    real = state < S
    moves = tl.load(
        transition + (model * S + state[:, None]) * S + state[None, :], mask=real[:, None] & real[None, :], other=0.0
    )
    start = tl.load(initial + model * S + state, mask=real, other=0.0)
    predicted = tl.zeros([DOCUMENTS, STATES], tl.float64) + start[None, :]
    log_scale = tl.zeros([DOCUMENTS], tl.float64)
    smallest = tl.full([DOCUMENTS], 1.0, tl.float64)
    for t in range(L):
        if (t > 0) & (t % block == 0):
            total = tl.sum(predicted, 1)
            log_scale += tl.log(total)
            predicted = predicted / tl.where(total == 0.0, 1.0, total)[:, None]
            smallest = tl.minimum(smallest, tl.min(tl.where(predicted > 0.0, predicted, 1.0), 1))
        if EVERY:
            column = (tl.cast(t, tl.int64) * K + model) * B + document
            tl.store(result + column, tl.log(tl.sum(predicted, 1)) + log_scale, mask=document < B)
        token = tl.load(tokens + tl.cast(t, tl.int64) * B + document, mask=document < B, other=0)
        emitted = tl.load(
            emission + (model * V + token)[:, None] * S + state[None, :],
            mask=(document < B)[:, None] & real[None, :],
            other=0.0,
        )
        predicted = tl.dot(predicted * emitted, moves, out_dtype=tl.float64)
    column = (tl.cast(L, tl.int64) * K * EVERY + model) * B + document
    tl.store(result + column, tl.log(tl.sum(predicted, 1)) + log_scale, mask=document < B)
    too_small = tl.where(smallest < SMALLEST_SHARE, 1, 0)
    tl.store(lossy + model * B + document, too_small.to(tl.uint8), mask=document < B)


def configuration(states: int) -> dict[str, int]:
    """Tile and warps for a number of states, at least the 16 that `tl.dot` takes; none spills."""
    width = max(16, triton.next_power_of_2(states))
    return {"DOCUMENTS": 64 if width <= 16 else 32, "STATES": width, "num_warps": 8 if width == 64 else 4}


def forward(
    initial: Tensor,
    transition: Tensor,
    emission_KVS: Tensor,
    tokens: Tensor,
    block: int,
    smallest_share: float,
    every: bool = False,
) -> tuple[Tensor, Tensor]:
    """log p(tokens | model) for K models and B documents, and which documents (B,) are lossy.

    initial (K, S), transition (K, S, S), emission_KVS (K, V, S), all float64 and contiguous; tokens (B, L) int64. The
    first result is (B, K) or, with ``every``, (B, K, L + 1): log p(x_<t | model) for t = 0 .. L. States are rescaled
    every ``block`` steps; a document with a positive share below ``smallest_share`` just after that is lossy: it must
    be done again in log space.
    """
    (B, L), (K, V, S) = tokens.shape, emission_KVS.shape
    assert S <= HMM_STATES and all(p.is_contiguous() for p in (initial, transition, emission_KVS))
    result = initial.new_empty((L + 1, K, B) if every else (K, B))
    lossy = torch.empty(K, B, dtype=torch.bool, device=tokens.device)
    options = configuration(S)
    forward_kernel[(K * triton.cdiv(B, options["DOCUMENTS"]),)](
        *(initial, transition, emission_KVS, tokens.T.contiguous(), result, lossy.view(torch.uint8)),
        *(B, L, V, S, K, max(block, 1)),
        SMALLEST_SHARE=smallest_share,
        EVERY=every,
        **options,
    )
    return result.movedim(-1, 0).movedim(1, -1) if every else result.T, lossy.any(0) | (block == 0)
