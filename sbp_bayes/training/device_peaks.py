"""Peak rates of GPUs in dense bfloat16 matrix products, for model FLOPs utilisation."""

import re

import torch

# FLOP/s without sparsity, at full power; data sheets print twice as much, with sparsity. By the name that the driver
# gives the device. From NVIDIA's data sheets: A100; H100 (SXM, PCIe, NVL); H200 (SXM, NVL); GH200; L40S; HGX B200 and
# GB200 NVL72 (per GPU). RTX 4090: "NVIDIA Ada GPU Architecture" (whitepaper), with float32 accumulation.
PEAKS = {
    r"A100\b": 312e12,
    r"H100 \d+GB HBM3\b": 989e12,
    r"H100 PCIe\b": 756e12,
    r"H100 NVL\b": 835e12,
    r"H200 NVL\b": 835e12,
    r"H200\b": 989e12,
    r"GH200\b": 989e12,
    r"L40S\b": 362e12,
    r"RTX 4090$": 165.2e12,
    r"B200\b": 2250e12,
    r"GB200\b": 2500e12,
}


def peak_flops(device: torch.device | str) -> float | None:
    """Dense bfloat16 peak (FLOP/s) of a CUDA device; None where it is not known, so that nothing is claimed of it."""
    device = torch.device(device)
    return peak_of(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def peak_of(name: str) -> float | None:
    """The peak of the device that calls itself ``name``, as in ``NVIDIA H100 80GB HBM3``; None for a MIG slice."""
    if " MIG " in name:
        return None
    return next((peak for known, peak in PEAKS.items() if re.search(rf"\b{known}", name)), None)
