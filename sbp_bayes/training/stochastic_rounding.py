"""Rounding float32 to bfloat16 up or down at random, so that the mean is kept, with numbers that need no state.

The random bits are those of Philox4x32 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), a function
of a seed and a counter: (place, stream, step). A run that resumes at a step draws what it would have drawn there.
Definition of how `sbp_bayes.kernels.adamw` rounds on a GPU.
"""

import torch
from torch import Tensor

TILE = 2048  # places i and i + TILE / 2 of a tile share one counter, whose four words serve both
ROUNDS = 7  # the fewest that pass every test of BigCrush
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF


def philox(counter: tuple[Tensor, int, int, int], seed: int, rounds: int = ROUNDS) -> tuple[Tensor, ...]:
    """Four words of 32 random bits, int64 tensors of the shape of the counter's first word.

    seed: up to 64 bits; counter: of larger numbers the lowest 32 bits count.
    """
    first = counter[0]
    words = [first & WORD, *(torch.full_like(first, word & WORD) for word in counter[1:])]
    low, high = seed & WORD, seed >> 32 & WORD
    for _ in range(rounds):
        by_first, by_third = words[0] * MULTIPLIERS[0], words[2] * MULTIPLIERS[1]
        words = [
            (by_third >> 32 & WORD) ^ words[1] ^ low,
            by_third & WORD,
            (by_first >> 32 & WORD) ^ words[3] ^ high,
            by_first & WORD,
        ]
        low, high = low + KEY_STEPS[0] & WORD, high + KEY_STEPS[1] & WORD
    return tuple(words)


def noises(like: Tensor, stream: int, step: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Three independent numbers of 16 random bits for each place of ``like``, int32 tensors of its shape.

    stream: which tensor of a model; step: of its training.
    """
    place = torch.arange(like.numel(), device=like.device)
    half = TILE // 2
    words = philox((place // TILE * half + place % half, stream, step, 0), seed)
    second = place // half % 2 == 1
    low, high = torch.where(second, words[2], words[0]), torch.where(second, words[3], words[1])
    return tuple(x.to(torch.int32).view(like.shape) for x in (low & 0xFFFF, low >> 16, high & 0xFFFF))


def round_stochastically(x: Tensor, noise: Tensor) -> Tensor:
    """float32 ``x`` as bfloat16: one of its two neighbours, each with the probability that makes the mean ``x``.

    noise: uniform on 0 to 65535, of x's shape. What bfloat16 holds is kept, and so are infinities and NaN.
    """
    bits = x.contiguous().view(torch.int32)
    rounded = (bits + noise & -0x10000).view(torch.float32)
    return torch.where(x.isfinite(), rounded, x).to(torch.bfloat16)
