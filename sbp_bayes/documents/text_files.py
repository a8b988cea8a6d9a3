"""Documents read from .txt, .jsonl (both also .gz and .zst) and .parquet files, one at a time."""

import glob
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.documents.text_lines import LONGEST, Unreadable, first_line, read_lines
from sbp_bayes.errors import UserError

KINDS = (".txt", ".jsonl", ".parquet")
COMPRESSED = (".gz", ".zst")
EXPECTED = ".txt, .jsonl (also .gz, .zst) or .parquet"
PARQUET_ROWS = 256


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


def kind_of(file: Path) -> str | None:
    """``.txt``, ``.jsonl`` or ``.parquet``, compressed or not; None for any other file."""
    suffix = Path(file.stem).suffix if file.suffix in COMPRESSED else file.suffix
    return suffix if suffix in KINDS and not (suffix == ".parquet" and file.suffix in COMPRESSED) else None


def find_files(paths: str | Sequence[str]) -> list[Path]:
    """The files of folders (with their subfolders), globs and single files, each file once.

    In the order of ``paths``, those of one path sorted. Of a corpus folder the documents are read, not the list of what
    was left out, and no latents. UserError for a path without any.
    """
    found: dict[Path, None] = {}
    for path in [paths] if isinstance(paths, str) else paths:
        found |= dict.fromkeys(_files_of(path))
    return list(found)


def _files_of(path: str) -> list[Path]:
    place = Path(path).expanduser()
    if place.is_dir():
        candidates = list(place.rglob("*"))
    elif place.is_file():
        candidates = [place]
        if kind_of(place) is None:
            raise UserError(f"{place}: unknown kind of file, expected {EXPECTED}")
    else:
        candidates = [Path(name) for name in glob.glob(str(place), recursive=True)]
    files = sorted(file for file in candidates if kind_of(file) and file.is_file() and not _beside_documents(file))
    if not files:
        raise UserError(f"{path}: no {EXPECTED} file there")
    return files


def _beside_documents(file: Path) -> bool:
    """Whether a corpus folder, or the corpus stage of a run, has this file beside its documents."""
    if file.name == "dropped.parquet":
        return any((file.parent / name).exists() for name in ("corpus.json", "source.json"))
    return file.parent.name == "latents" and (file.parent.parent / "corpus.json").exists()


def common_folder(files: Sequence[Path]) -> Path:
    """The folder that all ``files`` lie under."""
    return Path(os.path.commonpath([file.absolute().parent for file in files]))


def read_documents(
    files: Sequence[Path], root: Path, columns: Columns, paragraphs: bool
) -> Iterator[TextDocument | Unreadable]:
    """Every document of ``files`` in order, and in its place what could not be read; memory of one document.

    A .txt file is one document, or, with ``paragraphs``, one for each block between blank lines. Unreadable, named
    with file and line or row: invalid UTF-8 or JSON, text that is no string, a column that is missing, a file that is
    corrupt or breaks off (what comes before the break is read).
    """
    for file in files:
        name = str(file.relative_to(root)) if file.is_relative_to(root) else file.name
        kind = kind_of(file)
        if kind == ".txt":
            yield from _read_paragraphs(file, name) if paragraphs else _read_whole(file, name)
            continue
        rows = _read_jsonl(file, columns) if kind == ".jsonl" else _read_parquet(file, columns)
        for number, row in enumerate(rows):
            if isinstance(row, Unreadable):
                yield row
            else:
                yield document_of(row, f"{file}: row {number + 1}", f"{name}#{number}", name, columns)


def document_of(row: dict, place: str, doc_id: str, source: str, columns: Columns) -> TextDocument | Unreadable:
    """A row as a document; ``doc_id`` and ``source`` where it has no columns for them, ``place`` for messages."""
    for name in columns.names:
        if name not in row:
            return Unreadable(f"{place}: no key {name!r} (there are: {', '.join(map(str, row))})")
    text = row[columns.text]
    if not isinstance(text, str):
        return Unreadable(f"{place}: {columns.text!r} is {type(text).__name__}, expected a string")
    concept = row[columns.concept] if columns.concept else None
    document = TextDocument(
        str(row[columns.id]) if columns.id else doc_id,
        text,
        str(row[columns.source]) if columns.source else source,
        None if concept is None else str(concept),
    )
    try:
        "".join([document.doc_id, text, document.source, document.concept or ""]).encode()
    except UnicodeEncodeError:
        return Unreadable(f"{place}: has half a character (a lone surrogate)")
    return document


def _read_whole(file: Path, name: str) -> Iterator[TextDocument | Unreadable]:
    lines, size = [], 0
    for line in read_lines(file):
        if isinstance(line, Unreadable):
            yield line
            return
        size += len(line[1]) + 1
        if size > LONGEST:
            yield Unreadable(f"{file}: one document of over {LONGEST:,} bytes; paragraphs = true reads it in parts")
            return
        lines.append(line[1])
    text = _decoded(b"\n".join(lines), f"{file}: ")
    if not isinstance(text, Unreadable):
        text = TextDocument(name, text.replace("\r\n", "\n").replace("\r", "\n"), name, None)
    yield text


def _read_paragraphs(file: Path, name: str) -> Iterator[TextDocument | Unreadable]:
    block: list[str] = []
    number = 0
    for line in read_lines(file):
        text = line if isinstance(line, Unreadable) else _decoded(line[1], f"{file}: line {line[0]} is ")
        if isinstance(text, Unreadable):
            yield text
        elif text.strip():
            block.append(text.rstrip("\r"))
        elif block:
            yield TextDocument(f"{name}#{number}", "\n".join(block), name, None)
            number, block = number + 1, []
    if block:
        yield TextDocument(f"{name}#{number}", "\n".join(block), name, None)


def _decoded(line: bytes, place: str) -> str | Unreadable:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        return Unreadable(f"{place}not valid UTF-8 (byte {error.start + 1})")


def _read_jsonl(file: Path, columns: Columns) -> Iterator[dict | Unreadable]:
    for line in read_lines(file):
        if isinstance(line, Unreadable):
            yield line
            continue
        number, content = line
        if not content.strip():
            continue
        text = _decoded(content, f"{file}: line {number} is ")
        yield text if isinstance(text, Unreadable) else _parsed(text, f"{file}: line {number}")


def _parsed(text: str, place: str) -> dict | Unreadable:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"{place} is not JSON ({first_line(error)})")
    return row if isinstance(row, dict) else Unreadable(f"{place} is not a JSON object")


def _read_parquet(file: Path, columns: Columns) -> Iterator[dict | Unreadable]:
    row = 0
    try:
        # Without a buffer size a whole row group's column comes into memory at once.
        with pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False) as parquet:
            known = parquet.schema_arrow.names
            missing = [name for name in columns.names if name not in known]
            if missing:
                yield Unreadable(f"{file}: no column {missing[0]!r} (there are: {', '.join(known)})")
                return
            for batch in parquet.iter_batches(PARQUET_ROWS, columns=list(dict.fromkeys(columns.names))):
                yield from _rows(batch, file, row)
                row += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        yield Unreadable(f"{file}: could not be read beyond row {row} ({first_line(error)})")


def _rows(batch: pa.RecordBatch, file: Path, first: int) -> Iterator[dict | Unreadable]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for i in range(batch.num_rows):
            try:
                yield batch.slice(i, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield Unreadable(f"{file}: row {first + i + 1} is not valid UTF-8")
