"""From files to a corpus, a task for each file: clean, then, with copies known over all files, tokenise.

cleaned/NNNNN/    documents.arrow, digests.npy, dropped.parquet of one file
tokenised/        NNNNN.parquet: the documents of that file that stay, with their tokens
Memory of a task: one batch of documents, or of tokenised ones; of the whole: 32 bytes a document while copies are told.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.copies import COPY, TWICE, Digests, first_of
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.passing import passing, same_text
from sbp_bayes.documents.spill import SCHEMA as DOCUMENT_COLUMNS
from sbp_bayes.documents.spill import Spill, SpillWriter
from sbp_bayes.documents.text_batches import text_batches
from sbp_bayes.documents.text_files import Columns, read_documents
from sbp_bayes.documents.text_lines import Unreadable
from sbp_bayes.documents.token_limits import within_limits
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write, write_array

DOCUMENTS, DIGESTS, DROPPED = "documents.arrow", "digests.npy", "dropped.parquet"
SCHEMA = pa.schema([*DOCUMENT_COLUMNS, ("tokens", pa.list_(pa.int32()))])
ROWS = 4096  # documents tokenised at once


@dataclass(frozen=True)
class CleanFile:
    """Reads one file and sets aside the documents that pass by themselves, with digests of their texts and ids.

    number: of the file; content: its size and time of change, so that another file by that name is another task
    """

    number: int
    file: Path
    content: tuple[int, int]
    root: Path
    columns: Columns
    paragraphs: bool
    clean: CleanSettings
    out: Path

    @property
    def name(self) -> str:
        return f"clean-{self.number:05d}"

    @property
    def folder(self) -> Path:
        return self.out / "cleaned" / f"{self.number:05d}"

    def __call__(self) -> None:
        partial = self.folder.with_name(f"{self.folder.name}.partial")
        for place in (partial, self.folder):
            shutil.rmtree(place, ignore_errors=True)
        partial.mkdir(parents=True)
        texts, ids = Digests(), Digests()
        with SpillWriter(partial / DOCUMENTS) as spill, Dropped(partial / DROPPED) as dropped:
            for _, document in passing(self._documents(), self.clean, False, dropped):
                spill.add(document)
                texts.add(same_text(document.text))
                ids.add(document.doc_id)
        write_array(partial / DIGESTS, np.stack([*texts.arrays, *ids.arrays]))
        partial.rename(self.folder)

    def _documents(self) -> Iterator:
        for document in read_documents([self.file], self.root, self.columns, self.paragraphs):
            if isinstance(document, Unreadable):
                yield document
            else:
                yield document.doc_id, replace(document, text=document.text.strip())


@dataclass(frozen=True)
class TokeniseFile:
    """Tokenises the documents of a cleaned file that are no copies, into a Parquet file.

    kept: rows that stay, (N,) int64 .npy, and their digest; tokenizer: a folder named by its content
    """

    number: int
    kept: Path
    digest: str
    tokenizer: Path
    clean: CleanSettings
    out: Path

    @property
    def name(self) -> str:
        return f"tokenise-{self.number:05d}"

    @property
    def file(self) -> Path:
        return self.out / "tokenised" / f"{self.number:05d}.parquet"

    @property
    def dropped(self) -> Path:
        return self.file.with_suffix(".dropped.parquet")

    def __call__(self) -> None:
        tokenizer = load_tokenizer(self.tokenizer)
        spill, rows = Spill(self.out / "cleaned" / f"{self.number:05d}" / DOCUMENTS), np.load(self.kept)
        self.file.parent.mkdir(parents=True, exist_ok=True)

        def write(path: Path) -> None:
            with Dropped(self.dropped) as dropped, pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
                for start in range(0, rows.size, ROWS):
                    table = spill.take(rows[start : start + ROWS])
                    table = within_limits(table, tokenizer, self.clean, "corpus", dropped)
                    tokens = [ids for texts in text_batches(table["text"]) for ids in tokenizer.encode(texts)]
                    column = pa.array(tokens, pa.list_(pa.int32()))
                    writer.write_table(table.append_column("tokens", column).cast(SCHEMA))

        atomic_write(self.file, write)


def find_copies(tasks: Sequence[CleanFile], on_bad: str, dropped: Dropped) -> list[np.ndarray]:
    """The rows of each cleaned file that are no copies of earlier documents; those left out are noted with their twin.

    UserError where an id is there twice and ``on_bad`` is "stop".
    """
    digests = [np.load(task.folder / DIGESTS) for task in tasks]
    firsts = np.cumsum([0] + [part.shape[1] for part in digests])
    everything = np.concatenate(digests, axis=1)
    n = everything.shape[1]

    def names(rows: np.ndarray) -> list[str]:
        """Ids of the documents ``rows``, in that order."""
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], firsts)
        found: list[str] = []
        for task, first, start, end in zip(tasks, firsts, bounds[:-1], bounds[1:], strict=False):
            if end > start:
                found += Spill(task.folder / DOCUMENTS).doc_ids(rows[order[start:end]] - first)
        back = np.empty(rows.size, dtype=np.int64)
        back[order] = np.arange(rows.size)
        return [found[i] for i in back]

    first = first_of(everything[0], everything[1])
    kept = first == np.arange(n)
    _note(dropped, names, COPY, np.flatnonzero(~kept), first)
    rows = np.flatnonzero(kept)
    first = np.arange(n)
    first[rows] = rows[first_of(everything[2][rows], everything[3][rows])]
    twice = np.flatnonzero(first != np.arange(n))
    if twice.size and on_bad == "stop":
        raise UserError(f"two documents have the id {names(twice[:1])[0]!r}")
    _note(dropped, names, TWICE, twice, first)
    kept[twice] = False
    return [np.flatnonzero(kept[start:end]) for start, end in itertools.pairwise(firsts)]


def _note(dropped: Dropped, names: Callable, reason: str, rows: np.ndarray, first: np.ndarray) -> None:
    for doc_id, twin in zip(names(rows), names(first[rows]), strict=True):
        dropped.add(doc_id, reason, kept=twin, similarity=1.0)


def merge_dropped(parts: Sequence[Path], dropped: Dropped) -> None:
    """Note again in ``dropped`` what the tasks noted."""
    for part in parts:
        for row in pq.read_table(part, partitioning=None).to_pylist():
            dropped.add(**row)
