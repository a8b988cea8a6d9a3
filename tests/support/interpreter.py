"""A process in which Triton kernels run on the CPU, by its interpreter.

Triton decides between interpreting and compiling when it is imported, so tests that run kernels and tests that compile
them cannot share a process. A test marked ``interpreter`` is run in this one: `tests/conftest.py`.
"""

import importlib.util
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from types import ModuleType


class Interpreter:
    """Starts its process with the first test that needs it, and keeps it for the next ones."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def run(self, path: str, test: str, arguments: dict) -> None:
        """Call function ``test`` of the file ``path``; whatever it raises is raised here."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)
        self._pool.submit(_call, path, test, arguments).result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def _begin() -> None:
    assert "triton" not in sys.modules
    os.environ["TRITON_INTERPRET"] = "1"
    import torch

    torch.set_num_threads(1)
    _round_to_bfloat16()


def _round_to_bfloat16() -> None:
    """float32 -> bfloat16 to the nearest, as a GPU does; the interpreter of Triton 3.6 to 3.9 cuts digits off."""
    import numpy as np
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    cut = InterpreterBuilder.cast_impl

    def cast(builder: InterpreterBuilder, source: TensorHandle, kind: tl.dtype) -> TensorHandle:
        if (source.dtype.scalar, kind.scalar) != (tl.float32, tl.bfloat16):
            return cut(builder, source, kind)
        bits = np.ascontiguousarray(source.data).view(np.uint32).astype(np.uint64)
        rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
        rounded = np.where(np.isnan(source.data), np.uint16(0x7FC0), rounded).reshape(np.shape(source.data))
        return TensorHandle(rounded, tl.bfloat16)

    InterpreterBuilder.cast_impl = cast


def _call(path: str, test: str, arguments: dict) -> None:
    getattr(_module(path), test)(**arguments)


@cache
def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"interpreted_{abs(hash(path))}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
