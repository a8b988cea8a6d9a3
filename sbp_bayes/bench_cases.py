"""What `sbp bench` measures: each operation that has a kernel, at the sizes that decide.

A case calls the operation where the program calls it, so the kernel and the plain form are timed as they would run.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sbp_bayes.model import operations
from sbp_bayes.pairing.minhash import signatures
from sbp_bayes.pairing.neighbours import top_k
from sbp_bayes.pairing.terms import Terms
from sbp_bayes.seeds import generator, numpy_generator
from sbp_bayes.synthesis.sampler import draw
from sbp_bayes.training.adamw_bf16 import adamw

EPS = 1e-6


@dataclass(frozen=True)
class BenchCase:
    """One operation at one size.

    kernel: its name in `sbp_bayes.kernels`; size: for people; function: takes inputs(device) and returns a tensor, a
    tuple, or None where it works in place; learnt: places of the inputs whose gradients are timed too; on_host: the
    plain form runs on the host, in NumPy, so that torch.compile has nothing to do and GPU memory no meaning.
    """

    kernel: str
    size: str
    function: Callable
    inputs: Callable[[torch.device | str], list]
    learnt: Sequence[int] = ()
    on_host: bool = False

    @property
    def name(self) -> str:
        return f"{self.kernel}, {self.size}"


class Sizes:
    """Sizes as they are, or (``tiny``) so small that the interpreter takes them: for tests."""

    def __init__(self, tiny: bool):
        self.tiny = tiny

    def __call__(self, size: int, tiny: int) -> int:
        return tiny if self.tiny else size


def cases(tiny: bool = False) -> Iterator[BenchCase]:
    """Every case, in bfloat16 and at the shapes of the 3B model unless its size says otherwise."""
    size = Sizes(tiny)
    yield from _loss_cases(size)
    yield from _model_cases(size)
    yield from _other_cases(size)


def numbers(device: torch.device | str, *shape: int, dtype: torch.dtype = torch.bfloat16, seed: int = 0) -> Tensor:
    """Standard normal, the same on every device of a kind."""
    return torch.randn(shape, generator=generator("bench", seed, device=device), device=device, dtype=dtype)


def _loss_cases(size: Sizes) -> Iterator[BenchCase]:
    M, H, V = size(8192, 12), size(4096, 8), size(128_256, 50)
    for share in (1.0, 0.5):

        def inputs(device: torch.device | str, share: float = share) -> list:
            targets = torch.arange(M, device=device) * 7919 % V
            weights = (torch.arange(M, device=device) < share * M).float() / M
            return [numbers(device, M, H), numbers(device, V, H, seed=1) * H**-0.5, targets, weights]

        def loss(e: Tensor, c: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
            return operations.linear_cross_entropy(e, c, targets, weights=weights, reduction="sum")

        yield BenchCase("linear_cross_entropy", f"{M} x {H} x {V}, {share:.0%} weighted", loss, inputs, (0, 1))


def _model_cases(size: Sizes) -> Iterator[BenchCase]:
    B, T, H, K, d = 2, size(4096, 3), size(24, 2), size(8, 1), size(128, 8)
    D, hidden = H * d, size(8064, 21)

    def residuals(device: torch.device | str) -> list:
        return [numbers(device, B * T, D), numbers(device, B * T, D, seed=1), numbers(device, D, seed=2), EPS]

    def heads(device: torch.device | str) -> list:
        cos, sin = operations.rotary_angles(torch.arange(T, device=device)[None], d, 5e5)
        angles = [angle[:, None].bfloat16() for angle in (cos, sin)]
        gains = [numbers(device, d, seed=seed) for seed in (1, 2)]
        return [numbers(device, B, T, H, d), numbers(device, B, T, K, d, seed=3), *gains, *angles, EPS]

    def gates(device: torch.device | str) -> list:
        return [numbers(device, B * T, hidden, seed=seed) for seed in (0, 1)]

    yield BenchCase("rms_norm", f"added, {B * T} x {D}", operations.add_rms_norm, residuals, (0, 1, 2))
    yield BenchCase("qk_norm_rope", f"{B} x {T} x {H}+{K} x {d}", operations.qk_norm_rope, heads, (0, 1, 2, 3))
    yield BenchCase("swiglu", f"{B * T} x {hidden}", operations.swiglu, gates, (0, 1))


def _other_cases(size: Sizes) -> Iterator[BenchCase]:
    tensors, side = size(16, 3), size(4096, 9)
    R, V = size(128, 3), size(131_072, 70)
    M, N, d, k = size(16_384, 5), size(1_000_000, 40), size(1024, 16), size(32, 3)
    count, length = size(20_000, 3), size(500, 9)

    def states(device: torch.device | str) -> list:
        parameters, gradients, means = (
            [numbers(device, side, side, seed=seed + place) for place in range(tensors)] for seed in (0, 100, 200)
        )
        squares = [mean.square() for mean in means]
        return [parameters, gradients, means, squares, list(range(tensors)), 1e-3, 0.9, 0.95, 1e-8, 0.1, 10, 0]

    def logits(device: torch.device | str) -> list:
        uniforms = torch.linspace(0, 0.999, R, dtype=torch.float64, device=device)
        return [3 * numbers(device, R, V, dtype=torch.float32), 1.0, 0.9, uniforms]

    def vectors(device: torch.device | str) -> list:
        unit = torch.nn.functional.normalize
        dtype = torch.float32 if size.tiny else torch.bfloat16  # the interpreter has no bfloat16 products
        return [unit(numbers(device, n, d, seed=n).float()).to(dtype) for n in (M, N)] + [k]

    def documents(device: torch.device | str) -> list:
        words, random = size(50_000, 7), numpy_generator("bench terms")
        ids, offsets = random.integers(0, words, count * length), np.arange(count + 1) * length
        return [Terms(ids, offsets, random.integers(0, 2**64, words, dtype=np.uint64)), 13, 128, 0, device]

    yield BenchCase("adamw", f"{tensors} x {side} x {side}", adamw, states)
    yield BenchCase("top_p", f"{R} x {V} float32, p 0.9", draw, logits)
    yield BenchCase("cosine_top_k", f"{M} of {N} x {d}, k {k}", top_k, vectors)
    yield BenchCase("minhash", f"{count} documents of {length} terms, 128 hashes", signatures, documents, on_host=True)
