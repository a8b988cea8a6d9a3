"""Documents read from .txt, .jsonl and .parquet files, one at a time."""

import glob
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.errors import UserError

SUFFIXES = (".txt", ".jsonl", ".parquet")
BLANK_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class TextDocument:
    """doc_id: the id column's value, else file and place; concept: what the document is about, None where unknown."""

    doc_id: str
    text: str
    source: str
    concept: str | None


@dataclass(frozen=True)
class Columns:
    """Names of the columns of .jsonl and .parquet files; None for a column that isn't used."""

    text: str
    concept: str | None = None
    id: str | None = None
    source: str | None = None

    @property
    def names(self) -> list[str]:
        return [name for name in (self.text, self.concept, self.id, self.source) if name]


def find_files(path: str) -> list[Path]:
    """The files of a folder (with its subfolders), a glob or a single file, sorted; UserError when there are none."""
    place = Path(path).expanduser()
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    elif place.is_file():
        files = [place]
        if place.suffix not in SUFFIXES:
            raise UserError(f"{place}: unknown kind of file, expected {', '.join(SUFFIXES)}")
    else:
        matches = (Path(name) for name in glob.glob(str(place), recursive=True))
        files = sorted(file for file in matches if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise UserError(f"{path}: no {', '.join(SUFFIXES)} file there")
    return files


def read_documents(files: list[Path], root: Path, columns: Columns, paragraphs: bool) -> Iterator[TextDocument]:
    """Every document of ``files`` in order; O(1) memory for .jsonl and .parquet.

    A .txt file is one document, or, with ``paragraphs``, one for each block between blank lines.
    UserError: invalid UTF-8 or JSON (with the line), a corrupt Parquet file, a missing column, text that is no string.
    """
    for file in files:
        name = str(file.relative_to(root)) if file.is_relative_to(root) else file.name
        try:
            if file.suffix == ".txt":
                yield from _read_txt(file, name, paragraphs)
                continue
            rows = _read_jsonl(file) if file.suffix == ".jsonl" else _read_parquet(file, columns)
            for number, row in enumerate(rows):
                yield _document(row, f"{file}: row {number + 1}", f"{name}#{number}", name, columns)
        except UnicodeDecodeError as error:
            raise UserError(f"{file}: not valid UTF-8 (byte {error.start} of what was read)") from error
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{file}: could not be read ({(str(error).splitlines() or [''])[0]})") from error


def _read_txt(file: Path, name: str, paragraphs: bool) -> Iterator[TextDocument]:
    text = file.read_text(encoding="utf-8")
    if not paragraphs:
        yield TextDocument(name, text, name, None)
        return
    for number, block in enumerate(BLANK_LINE.split(text)):
        yield TextDocument(f"{name}#{number}", block, name, None)


def _read_jsonl(file: Path) -> Iterator[dict]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{file}: line {number} is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise UserError(f"{file}: line {number} is not a JSON object")
            yield row


def _read_parquet(file: Path, columns: Columns) -> Iterator[dict]:
    parquet = pq.ParquetFile(file)
    known = parquet.schema_arrow.names
    for name in columns.names:
        if name not in known:
            raise UserError(f"{file}: no column {name!r} (there are: {', '.join(known)})")
    for batch in parquet.iter_batches(1024, columns=columns.names):
        yield from batch.to_pylist()


def _document(row: dict, place: str, doc_id: str, source: str, columns: Columns) -> TextDocument:
    for name in columns.names:
        if name not in row:
            raise UserError(f"{place}: no key {name!r} (there are: {', '.join(row)})")
    text = row[columns.text]
    if not isinstance(text, str):
        raise UserError(f"{place}: {columns.text!r} is {type(text).__name__}, expected a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: {columns.text!r} has half a character (a lone surrogate)") from error
    concept = row[columns.concept] if columns.concept else None
    return TextDocument(
        str(row[columns.id]) if columns.id else doc_id,
        text,
        str(row[columns.source]) if columns.source else source,
        None if concept is None else str(concept),
    )
