"""``silu(gate) * up`` in one pass; the backward pass computes silu again rather than keep it.

Definition: `sbp_bayes.model.operations.swiglu`.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase

CONFIGURATION = {"BLOCK": 2048, "num_warps": 8}


@triton.jit
def forward_kernel(gate, up, result, N, BLOCK: tl.constexpr):
    place = tl.cast(tl.program_id(0), tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(gate + place, mask=place < N, other=0.0).to(tl.float32)
    y = tl.load(up + place, mask=place < N, other=0.0).to(tl.float32)
    tl.store(result + place, (x * tl.sigmoid(x) * y).to(result.dtype.element_ty), mask=place < N)


@triton.jit
def backward_kernel(by_result, gate, up, by_gate, by_up, N, BLOCK: tl.constexpr):
    place = tl.cast(tl.program_id(0), tl.int64) * BLOCK + tl.arange(0, BLOCK)
    upstream = tl.load(by_result + place, mask=place < N, other=0.0).to(tl.float32)
    x = tl.load(gate + place, mask=place < N, other=0.0).to(tl.float32)
    y = tl.load(up + place, mask=place < N, other=0.0).to(tl.float32)
    share = tl.sigmoid(x)
    slope = share * (1.0 + x * (1.0 - share))
    tl.store(by_gate + place, (upstream * y * slope).to(by_gate.dtype.element_ty), mask=place < N)
    tl.store(by_up + place, (upstream * x * share).to(by_up.dtype.element_ty), mask=place < N)


def compile_cases() -> Iterator[CompileCase]:
    """Both passes, for half and single precision."""
    for kernel in (forward_kernel, backward_kernel):
        for dtype in ("bf16", "fp32"):
            pointers = {name: f"*{dtype}" for name in kernel.arg_names if name not in ("N", "BLOCK")}
            yield CompileCase(kernel, {**pointers, "N": "i32:16", **CONFIGURATION})


@torch.library.custom_op("sbp_bayes::swiglu", mutates_args=())
def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """``silu(gate) * up``, of one shape and type."""
    gate, up = gate.contiguous(), up.contiguous()
    result = torch.empty_like(gate)
    if N := gate.numel():
        forward_kernel[(triton.cdiv(N, CONFIGURATION["BLOCK"]),)](gate, up, result, N, **CONFIGURATION)
    return result


@swiglu.register_fake
def _(gate: Tensor, up: Tensor) -> Tensor:
    return torch.empty_like(gate.contiguous())


@torch.library.custom_op("sbp_bayes::swiglu_backward", mutates_args=())
def _backward(by_result: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    by_result, gate, up = by_result.contiguous(), gate.contiguous(), up.contiguous()
    by_gate, by_up = torch.empty_like(gate), torch.empty_like(up)
    if N := gate.numel():
        grid = (triton.cdiv(N, CONFIGURATION["BLOCK"]),)
        backward_kernel[grid](by_result, gate, up, by_gate, by_up, N, **CONFIGURATION)
    return by_gate, by_up


@_backward.register_fake
def _(by_result: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(gate.contiguous()), torch.empty_like(up.contiguous())


def _keep(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx, by_result: Tensor) -> tuple[Tensor, Tensor]:
    return _backward(by_result, *ctx.saved_tensors)


swiglu.register_autograd(_gradients, setup_context=_keep)
