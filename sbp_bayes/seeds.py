"""One way to say a seed: a path of names and numbers, hashed.

Streams named by different paths are independent, so adding a stage never shifts another stage's randomness.
"""

import hashlib

import numpy as np
import torch


def seed_for(*path: int | str) -> int:
    """A 63-bit seed for a path such as ``("synthesis", 3, "shard", 0)``."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in path)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*path: int | str, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh ``torch.Generator`` for the path."""
    return torch.Generator(device=device).manual_seed(seed_for(*path))


def numpy_generator(*path: int | str) -> np.random.Generator:
    """A fresh NumPy generator for the path."""
    return np.random.default_rng(seed_for(*path))
