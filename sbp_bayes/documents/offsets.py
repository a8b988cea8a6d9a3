"""Where each of many sequences begins that lie one after another in one array."""

from collections.abc import Sequence

import numpy as np


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where each of N sequences begins, and where the last ends: (N + 1,) int64."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
