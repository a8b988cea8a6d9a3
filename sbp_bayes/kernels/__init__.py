"""Triton kernels of the model's operations. Importing this costs nothing; importing a kernel imports Triton.

`sbp_bayes.model.operations` defines each operation in PyTorch and is the only caller of its kernel. Every kernel loads,
computes in float32 and stores in the tensors' type, with plain pointers and masks, so that Triton 3.6 to 3.9 take it.
"""

import os
from importlib.util import find_spec

from torch import Tensor

# SBP_BAYES_KERNELS=off keeps a GPU on plain PyTorch. Under Triton's interpreter kernels run on the CPU, for tests.
ENABLED = os.environ.get("SBP_BAYES_KERNELS") != "off" and find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def serve(x: Tensor) -> bool:
    """Whether kernels run on ``x``: on a GPU, where Triton is installed and they have not been turned off."""
    return ENABLED and (x.is_cuda or INTERPRETED)
