"""Linear maps on CPUs whose wide vectors PyTorch's default library does not use.

PyTorch multiplies float32 matrices with Intel's MKL, which on AMD processors with AVX-512 runs at less than half of
their rate; oneDNN, also part of PyTorch, uses it (benchmarks/trainer_cpu.py). PyTorch reaches oneDNN's float32 product
through the operator that torch.compile calls for linear layers.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEAST = 2**20  # multiply-adds from which the operator's 10 microseconds of overhead pay


def _processor_gains() -> bool:
    """An AMD processor with AVX-512, as Linux tells it, and a PyTorch with oneDNN."""
    if not torch.backends.mkldnn.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    processors = Path("/proc/cpuinfo")
    named = processors.is_file() and "AuthenticAMD" in processors.read_text(encoding="utf-8", errors="replace")
    return named and hasattr(torch.ops.mkldnn, "_linear_pointwise")


GAINS = _processor_gains()


def wins(x: Tensor, weight: Tensor) -> bool:
    """Whether `linear` is the faster way to ``x @ weight.T`` here; decided by processor and shapes, never by a timing,
    so that two runs on a machine agree to the last bit.
    """
    return (
        GAINS
        and type(x) is Tensor
        and type(weight) in (Tensor, nn.Parameter)
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and math.prod(x.shape[:-1]) * weight.numel() >= LEAST
    )


def product(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T`` by the faster library, without gradients: x (M, K), weight (N, K) -> (M, N)."""
    return _product(x, weight) if wins(x, weight) else F.linear(x, weight)


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T``: x (..., K), weight (N, K) -> (..., N), float32."""
    return _Linear.apply(x, weight)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x = for_weight = None
        if ctx.needs_input_grad[0]:
            for_x = _product(gradient, weight.T)
        if ctx.needs_input_grad[1]:
            x, gradient = x.flatten(0, -2).T, gradient.flatten(0, -2).T
            # The operator copies a transposed first factor: let it be the smaller one.
            for_weight = _product(x, gradient).T if len(x) < len(gradient) else _product(gradient, x)
        return for_x, for_weight


def _onednn(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


# An operator of our own, since torch.compile takes oneDNN's for constant weights alone; defined without the
# conveniences of torch.library.custom_op, which cost as much as a small product.
_LIBRARY = torch.library.Library("sbp_bayes", "FRAGMENT")
_LIBRARY.define("onednn_linear(Tensor x, Tensor weight) -> Tensor")
_LIBRARY.impl("onednn_linear", _onednn, "CPU")
_product = torch.ops.sbp_bayes.onednn_linear.default


@torch.library.register_fake("sbp_bayes::onednn_linear", lib=_LIBRARY)
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(weight))
