"""Triton kernels, one file an operation. Importing this costs nothing; importing a kernel imports Triton.

Each file has the kernels (functions whose names end in ``_kernel``), the custom op and what a caller uses; the plain
PyTorch form, the definition, stands beside it or, for the model's operations, in `sbp_bayes.model.operations`. Every
kernel loads, computes in float32 and stores in the tensors' type, with plain pointers and masks, so that Triton 3.6 to
3.9 take it.

**Whether a kernel runs** is asked at the operation's one call site, under the name of the kernel's file:

    if kernels.serve("swiglu", gate):
        from sbp_bayes.kernels import swiglu as kernel
        return kernel.swiglu(gate, up)

A kernel is on where it has been measured to win: ``sbp bench`` times each on the user's own GPU against eager PyTorch
and torch.compile and keeps the winners in a table (`sbp_bayes.kernels.winners`). Without a table for this GPU and these
versions kernels are off, but where the caller says that the plain form can't do (``required``). SBP_BAYES_KERNELS=on
or off overrides the table.

**What a kernel compiles to** is checked without a GPU. Each file offers its every configuration,

    def compile_cases() -> Iterator[CompileCase]:
        for dtype in ("bf16", "fp32"):
            yield CompileCase(forward_kernel, {"x": f"*{dtype}", "N": "i32:16", "BLOCK": 1024, "num_warps": 4})

and the tests, ``sbp bench`` and benchmarks/compile_table.py compile them all for sm_80 and sm_90
(`sbp_bayes.kernels.compilation`): no spills, shared memory that fits, tensor cores where there is a dot.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    from triton import JITFunction

MODES = ("auto", "on", "off")
MODE = os.environ.get("SBP_BAYES_KERNELS") or "auto"
INSTALLED = find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # kernels run on the CPU, for tests

if MODE not in MODES:
    raise UserError(f"SBP_BAYES_KERNELS={MODE}: expected one of {', '.join(MODES)}")


@dataclass(frozen=True)
class CompileCase:
    """One configuration of a kernel, to be compiled without a GPU.

    kernel: a `triton.jit` function; arguments: every parameter of it by name, a type such as ``"*bf16"`` (``*`` marks a
    pointer), ``"i32"`` or ``"i32:16"`` (a multiple of 16), or the constant itself, and launch options (num_warps,
    num_stages); tensor_cores: instructions that must be there on sm_80 and sm_90, ``("HMMA", "HGMMA")`` for a dot of
    half or TF32 numbers, None without a dot.
    """

    kernel: "JITFunction"
    arguments: Mapping[str, object]
    tensor_cores: tuple[str, str] | None = None


def serve(op: str, x: Tensor, required: bool = False) -> bool:
    """Whether the kernel ``op`` runs on ``x``: on a GPU with Triton, where it wins there or is ``required``."""
    if not INSTALLED or MODE == "off" or not (x.is_cuda or INTERPRETED):
        return False
    return MODE == "on" or INTERPRETED or required or _wins(op, x.get_device())


@contextmanager
def forced(mode: str) -> Iterator[None]:
    """Kernels "on" or "off" (or "auto") whatever table and environment say: for measurements and tests."""
    global MODE
    assert mode in MODES
    before, MODE = MODE, mode
    try:
        yield
    finally:
        MODE = before


@torch.compiler.assume_constant_result
def _wins(op: str, device: int) -> bool:
    from sbp_bayes.kernels.winners import winners

    return op in winners(device)
