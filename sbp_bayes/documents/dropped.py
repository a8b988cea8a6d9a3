"""The list of what a corpus leaves out, a row a document, each with its reason: ``dropped.parquet``."""

from collections import Counter
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),  # null for what could not be read
        ("reason", pa.string()),
        ("detail", pa.string()),  # file and line, a length, a language
        ("kept", pa.string()),  # of copies: the doc_id of the twin that is kept, one for each group of copies
        ("similarity", pa.float32()),  # of copies: 1, or the Jaccard similarity to the twin
    ]
)
BATCH = 4096


class Dropped:
    """Writes dropped.parquet row by row and counts by reason; memory of one batch. A context manager."""

    def __init__(self, path: Path):
        self.path = path
        self.counts: Counter[str] = Counter()
        self._rows: list[tuple] = []

    def __enter__(self) -> "Dropped":
        self._writer = pq.ParquetWriter(self.path, SCHEMA, compression="zstd")
        return self

    def add(
        self,
        doc_id: str | None,
        reason: str,
        detail: str = "",
        kept: str | None = None,
        similarity: float | None = None,
    ) -> None:
        """Note one document."""
        self.counts[reason] += 1
        self._rows.append((doc_id, reason, detail, kept, similarity))
        if len(self._rows) == BATCH:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
        self._writer.write_table(pa.table(arrays, schema=SCHEMA))
        self._rows = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
