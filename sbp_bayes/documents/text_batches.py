"""A column of texts in batches small enough to be worked on at once."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BYTES = 1 << 18  # a batch's encodings and shingles take some hundred times as much while they last
DOCUMENTS = 4096


def text_batches(column: pa.ChunkedArray | pa.Array) -> Iterator[list[str | None]]:
    """A column's texts in lists of about 260,000 bytes, at most 4,096 texts; a longer text is a list of its own."""
    ends = np.cumsum(pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    start = 0
    while start < len(column):
        before = int(ends[start - 1]) if start else 0
        end = int(np.searchsorted(ends, before + BYTES, side="right"))
        end = min(max(end, start + 1), start + DOCUMENTS)
        yield column.slice(start, end - start).to_pylist()
        start = end
