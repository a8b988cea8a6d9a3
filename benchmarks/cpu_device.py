"""What a benchmark on one thread of a CPU ran on."""

import platform
from pathlib import Path

import torch

from sbp_bayes.model import cpu_linear


def cpu_device() -> dict:
    """Processor, vector instructions, gain of oneDNN's products, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "processor": processor,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "onednn_products": cpu_linear.GAINS,
        "threads": 1,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
