"""Documents set aside on disk as they are read, and taken back by number: only what is taken comes into memory.

One uncompressed Arrow file, mapped, so that a document costs a read of its own bytes wherever it lies.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa

from sbp_bayes.documents.text_batches import text_batches
from sbp_bayes.documents.text_files import TextDocument

SCHEMA = pa.schema([(name, pa.string()) for name in ("doc_id", "text", "source", "concept")])
BATCH_CHARACTERS = 1 << 20
BATCH_ROWS = 4096
SHARD_CHARACTERS = 64 << 20


class SpillWriter:
    """Appends documents to ``path``; memory of one batch. A context manager."""

    def __init__(self, path: Path):
        self.path = path
        self._rows: list[TextDocument] = []
        self._characters = 0

    def __enter__(self) -> "SpillWriter":
        self._file = pa.OSFile(str(self.path), "wb")
        self._writer = pa.ipc.new_file(self._file, SCHEMA)
        return self

    def add(self, document: TextDocument) -> None:
        self._rows.append(document)
        self._characters += len(document.text)
        if self._characters >= BATCH_CHARACTERS or len(self._rows) == BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        arrays = [pa.array([getattr(row, name) for row in self._rows], pa.string()) for name in SCHEMA.names]
        self._writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
        self._rows, self._characters = [], 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
        self._file.close()


class Spill:
    """What a `SpillWriter` wrote: N documents, numbered as they were added."""

    def __init__(self, path: Path):
        self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        self._batches = [self._file.get_batch(i) for i in range(self._file.num_record_batches)]
        self._firsts = np.cumsum([0] + [batch.num_rows for batch in self._batches])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def texts(self, rows: np.ndarray) -> Iterator[list[str]]:
        """The texts of ``rows`` (M,), ascending, in the lists of `text_batches`."""
        bounds = np.searchsorted(rows, self._firsts)
        for batch, first, start, end in zip(self._batches, self._firsts, bounds[:-1], bounds[1:], strict=False):
            if end > start:
                yield from text_batches(batch.column("text").take(pa.array(rows[start:end] - first)))

    def doc_ids(self, rows: np.ndarray) -> list[str]:
        """The ids of ``rows`` (M,), in that order."""
        return self.take(rows, ["doc_id"])["doc_id"].to_pylist()

    def take(self, rows: np.ndarray, columns: list[str] | None = None) -> pa.Table:
        """The documents ``rows`` (M,), in that order, as one table in memory: doc_id, text, source, concept."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        bounds = np.searchsorted(ascending, self._firsts)
        parts = [
            batch.select(columns or SCHEMA.names).take(pa.array(ascending[start:end] - first))
            for batch, first, start, end in zip(self._batches, self._firsts, bounds[:-1], bounds[1:], strict=False)
            if end > start
        ]
        back = np.empty(rows.size, dtype=np.int64)
        back[order] = np.arange(rows.size)
        schema = pa.schema([SCHEMA.field(name) for name in columns or SCHEMA.names])
        return pa.Table.from_batches(parts, schema).combine_chunks().take(pa.array(back))

    def shards(self, rows: np.ndarray, characters: np.ndarray) -> Iterator[pa.Table]:
        """The documents ``rows``, in that order, in tables of about 64 million characters.

        characters: (N,) of every document.
        """
        ends = np.cumsum(characters[rows])
        starts = np.searchsorted(ends, np.arange(0, int(ends[-1]) if rows.size else 0, SHARD_CHARACTERS), side="right")
        for part in np.split(rows, np.unique(starts)[1:]):
            yield self.take(part)
