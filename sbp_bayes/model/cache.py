"""Keys and values of the tokens read so far, so that a sampled token costs one position, not the whole prefix."""

import torch
from torch import Tensor


class KeyValueCache:
    """Room for ``capacity`` positions of each of ``rows`` sequences.

    Sequences are left-aligned: the token at position p of a row lives in slot p. Prompts of different lengths are
    padded on the right when they are read; a row's first new token overwrites its first padding slot, and a query at
    position p looks at slots 0..p only, so padding is never seen and every row gets what it would get alone.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        kv_heads: int,
        capacity: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        shape = (layers, rows, kv_heads, capacity, head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    def write(self, layer: int, key: Tensor, value: Tensor, positions: Tensor | None) -> None:
        """Store key and value (B, K, T, d): at slots 0..T-1, or, for ``positions`` (B, 1), one slot of each row."""
        if positions is None:
            self.keys[layer, :, :, : key.shape[2]] = key
            self.values[layer, :, :, : key.shape[2]] = value
        else:
            rows = torch.arange(key.shape[0], device=key.device)
            self.keys[layer, rows, :, positions[:, 0]] = key[:, :, 0]
            self.values[layer, rows, :, positions[:, 0]] = value[:, :, 0]

    def read(self, layer: int, slots: int) -> tuple[Tensor, Tensor]:
        """The first ``slots`` keys and values (B, K, slots, d)."""
        return self.keys[layer, :, :, :slots], self.values[layer, :, :, :slots]

    def keep(self, rows: Tensor) -> None:
        """Drop every sequence but ``rows`` (indices into the current ones)."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
