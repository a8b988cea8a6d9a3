"""Triton kernels of the worlds that have one. Importing this costs nothing; importing a kernel imports Triton."""

from functools import cache
from importlib.util import find_spec

from torch import Tensor

MIXTURE_CONCEPTS = 8192  # a document's log-weights stay in one program's registers
HMM_STATES = 64  # a model's transition matrix stays on the processor; for larger ones batched products do well


def serve(tokens: Tensor, size: int, largest: int) -> bool:
    """Whether a kernel for sizes up to ``largest`` runs on ``tokens``: on a GPU, where Triton is installed."""
    return tokens.is_cuda and size <= largest and _installed()


@cache
def _installed() -> bool:
    return find_spec("triton") is not None
