"""A corpus: documents as Parquet shards and as memory-mapped token ids, in one folder.

part-00000.parquet ...   doc_id, text or tokens (or both), any metadata columns
latents/part-00000.parquet ...   hidden columns of the same rows; nothing but `Corpus.latents` reads them
tokens.bin, offsets.npy  token ids of all documents without specials; document i is tokens[offsets[i]:offsets[i+1]]
corpus.json              counts, tokenizer, size and SHA-256 of every file; written last
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.documents.corpus_writer import FORMAT, LATENTS, CorpusWriter
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import file_hash, read_json, sync_folder


class Corpus:
    """A corpus on disk, opened for reading; `Corpus.open` makes one."""

    def __init__(self, folder: Path, description: dict):
        self.folder = folder
        self.description = description
        self.fingerprint: str = description["fingerprint"]
        self.tokenizer_fingerprint: str = description["tokenizer"]["fingerprint"]
        self._shards = [folder / shard["file"] for shard in description["shards"]]
        self._firsts = np.cumsum([0] + [shard["documents"] for shard in description["shards"]])
        self.offsets: np.ndarray = np.load(folder / "offsets.npy", mmap_mode="r")
        dtype = np.dtype(description["dtype"])
        self.tokens: np.ndarray = (
            np.memmap(folder / "tokens.bin", dtype=dtype, mode="r") if description["tokens"] else np.zeros(0, dtype)
        )
        self._shard_text: tuple[int, pa.ChunkedArray] | None = None

    @classmethod
    def open(cls, folder: Path, tokenizer: Tokenizer | None = None) -> "Corpus":
        """Open a corpus, check the size of each file, and, if one is given, that ``tokenizer`` made its tokens.

        UserError: no corpus there, a file that is missing or truncated, an empty corpus, another tokenizer.
        Contents are not hashed here; `verify` does that.
        """
        path = folder / "corpus.json"
        if not path.exists():
            raise UserError(f"{folder}: no corpus there (corpus.json is missing)")
        description = read_json(path)
        if not isinstance(description, dict) or description.get("format") != FORMAT:
            raise UserError(f"{path}: not a corpus description of format {FORMAT}")
        for entry in _files(description):
            _check_size(folder, entry)
        if tokenizer is not None:
            _check_tokenizer(folder, description["tokenizer"], tokenizer)
        try:
            corpus = cls(folder, description)
        except (KeyError, ValueError, OSError) as error:
            raise UserError(f"{folder}: corrupt corpus ({error})") from error
        if len(corpus) == 0:
            raise UserError(f"{folder}: the corpus is empty")
        consistent = len(corpus) == description["documents"] == corpus._firsts[-1]
        if not consistent or corpus.offsets[-1] != corpus.tokens.size:
            raise UserError(f"{folder}: corpus.json, offsets.npy and tokens.bin do not belong together")
        return corpus

    def verify(self) -> None:
        """Hash every file against corpus.json; a UserError names the first that differs."""
        for entry in [*_files(self.description), *self.description[LATENTS]]:
            path = self.folder / entry["file"]
            if path.exists() and file_hash(path) != entry["sha256"]:
                raise UserError(f"{path}: corrupt (its SHA-256 is not the one in corpus.json)")

    def __len__(self) -> int:
        return self.offsets.size - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document without specials: (N,) int64."""
        return np.diff(self.offsets)

    def document(self, i: int) -> np.ndarray:
        """Token ids of document ``i`` without specials: (L,) int64."""
        return self.tokens[self.offsets[i] : self.offsets[i + 1]].astype(np.int64)

    @property
    def columns(self) -> list[str]:
        return self.description["columns"]

    @property
    def has_text(self) -> bool:
        return "text" in self.columns

    @property
    def doc_ids(self) -> list[str]:
        return self.column("doc_id").to_pylist()

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of the documents' table, whole, (N,); UserError when there is no such column."""
        self._check_column(name)
        return pa.chunked_array([chunk for shard in self._shards for chunk in _read(shard, [name])[name].chunks])

    def batches(self, name: str, batch_size: int = 4096) -> Iterator[list]:
        """One column in document order, as lists of at most ``batch_size`` values; O(batch) memory."""
        self._check_column(name)
        for shard in self._shards:
            try:
                for batch in pq.ParquetFile(shard).iter_batches(batch_size, columns=[name]):
                    yield batch.column(0).to_pylist()
            except (OSError, pa.ArrowException) as error:
                raise UserError(f"{shard}: corrupt Parquet shard ({_first_line(error)})") from error

    def text(self, i: int, tokenizer: Tokenizer | None = None) -> str:
        """The text of document ``i``: as stored, else decoded by ``tokenizer``."""
        if not self.has_text:
            if tokenizer is None:
                raise UserError(f"{self.folder}: has tokens only; its text takes the tokenizer")
            return tokenizer.decode(self.document(i))
        shard = int(np.searchsorted(self._firsts, i, side="right")) - 1
        if self._shard_text is None or self._shard_text[0] != shard:
            self._shard_text = shard, _read(self._shards[shard], ["text"])["text"]
        return self._shard_text[1][i - int(self._firsts[shard])].as_py()

    def latents(self) -> pa.Table | None:
        """The hidden columns, a row a document; None where the corpus has none (or they were taken away).

        Only truth-pairing, exact arms and measures may call this.
        """
        entries = self.description[LATENTS]
        if not entries or not (self.folder / LATENTS).exists():
            return None
        for entry in entries:
            _check_size(self.folder, entry)
        table = pa.concat_tables([_read(self.folder / entry["file"], None) for entry in entries])
        if table.num_rows != len(self):
            raise UserError(f"{self.folder / LATENTS}: {table.num_rows} rows for {len(self)} documents")
        return table

    def _check_column(self, name: str) -> None:
        if name not in self.columns:
            raise UserError(f"{self.folder}: no column {name!r} (there are: {', '.join(self.columns)})")


def write_corpus(
    folder: Path, documents: Iterable[pa.Table], tokenizer: Tokenizer, latents: Iterable[pa.Table] | None = None
) -> Corpus:
    """Write tables of documents, one shard a table, and their tokens; return the corpus, opened.

    Each table has ``doc_id`` (unique strings) and ``text``, or ``tokens`` (lists of ids 0..V-1), or both: then the
    tokens are taken as they are. Other columns are metadata. ``latents`` go table by table with ``documents``.
    Memory: one shard, and 64 bytes a document while its id is checked. The folder appears complete,
    by rename; a corpus that was there is replaced. UserError: no document, a duplicate or missing id, tokens out of
    range, shards with different columns.
    """
    refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        CorpusWriter(temporary, tokenizer, folder).write(documents, latents)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise UserError(f"{folder}: could not be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Corpus.open(folder, tokenizer)


def refuse_foreign(folder: Path) -> None:
    """UserError where ``folder`` is a file, or holds something that is no corpus, which nothing may replace."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file, expected a folder to write")
    if folder.exists() and any(folder.iterdir()) and not (folder / "corpus.json").exists():
        raise UserError(f"{folder}: holds something that is no corpus; not overwritten")


def _files(description: dict) -> list[dict]:
    return [*description["shards"], *description["token_files"]]


def _check_size(folder: Path, entry: dict) -> None:
    path = folder / entry["file"]
    if not path.exists():
        raise UserError(f"{path}: missing from the corpus")
    if (size := path.stat().st_size) != entry["bytes"]:
        raise UserError(f"{path}: truncated or changed ({size} bytes, {entry['bytes']} expected)")


def _check_tokenizer(folder: Path, made_by: dict, tokenizer: Tokenizer) -> None:
    if made_by["fingerprint"] != tokenizer.fingerprint:
        theirs = f"{made_by['fingerprint']} ({made_by['kind']}, {made_by['symbols']} symbols)"
        ours = f"{tokenizer.fingerprint} ({tokenizer.kind}, {tokenizer.symbols} symbols)"
        raise UserError(f"{folder}: made with tokenizer {theirs}, not with {ours}")


def _read(path: Path, columns: list[str] | None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: corrupt Parquet shard ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
