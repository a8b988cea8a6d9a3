"""The tolerance of kernels: at most twice the error that PyTorch makes in the same type, against float64."""

import torch
from torch import Tensor


def assert_as_good(ours: Tensor, torchs: Tensor, gold: Tensor, atol: float = 1e-7) -> None:
    """err(ours, gold) <= 2 * err(torchs, gold) + atol, in the Euclidean norm over gold's norm (or 1 where smaller)."""
    assert ours.shape == torchs.shape == gold.shape and ours.dtype == torchs.dtype
    assert gold.dtype == torch.float64
    scale = max(float(gold.norm()), 1.0)
    error, allowed = (float((found.double() - gold).norm()) / scale for found in (ours, torchs))
    assert error <= 2 * allowed + atol, f"error {error:.2e}, PyTorch in {ours.dtype}: {allowed:.2e}"
