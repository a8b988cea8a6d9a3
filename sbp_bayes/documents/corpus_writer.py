"""Writes the files of one corpus; `sbp_bayes.documents.corpus.write_corpus` makes it whole or not at all."""

from collections.abc import Iterable
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.documents.copies import Digests
from sbp_bayes.documents.offsets import offsets_of
from sbp_bayes.documents.text_batches import text_batches
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash, file_hash, write_array, write_json

FORMAT = 1
LATENTS = "latents"


def token_dtype(vocabulary_size: int) -> np.dtype:
    """The smallest of uint16 and uint32 that holds every id."""
    return np.dtype(np.uint16 if vocabulary_size <= 1 << 16 else np.uint32)


class CorpusWriter:
    """The state of one corpus being written into ``folder``; messages name ``target``, its final place."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, target: Path):
        self.folder, self.tokenizer, self.target = folder, tokenizer, target
        self.dtype = token_dtype(tokenizer.vocabulary_size)
        self.ids = Digests()
        self.lengths: list[np.ndarray] = []
        self.columns: list[str] | None = None
        self.shards: list[dict] = []
        self.latents: list[dict] = []

    def write(self, documents: Iterable[pa.Table], latents: Iterable[pa.Table] | None) -> None:
        with (self.folder / "tokens.bin").open("wb") as tokens:
            tables = zip(documents, latents, strict=True) if latents is not None else zip(documents, repeat(None))
            for table, hidden in tables:
                if table.num_rows:
                    self._write_shard(table, hidden, tokens)
        if not len(self.ids):
            raise UserError(f"{self.target}: the corpus would be empty, no document was given")
        self._check_unique()
        lengths = np.concatenate(self.lengths)
        write_array(self.folder / "offsets.npy", offsets_of(lengths))
        write_json(self.folder / "corpus.json", self._description(int(lengths.sum())))

    def _description(self, tokens: int) -> dict:
        token_files = [self._entry("tokens.bin"), self._entry("offsets.npy")]
        tokenizer = self.tokenizer
        description = {
            "format": FORMAT,
            "documents": len(self.ids),
            "tokens": tokens,
            "dtype": self.dtype.name,
            "columns": self.columns,
            "tokenizer": {
                "kind": tokenizer.kind,
                "symbols": tokenizer.symbols,
                "fingerprint": tokenizer.fingerprint,
            },
            "shards": self.shards,
            "token_files": token_files,
        }
        # The latents are no part of the identity: nothing downstream may depend on them.
        return {**description, "fingerprint": content_hash(description), LATENTS: self.latents}

    def _write_shard(self, table: pa.Table, hidden: pa.Table | None, tokens) -> None:
        name = f"part-{len(self.shards):05d}.parquet"
        self._check_columns(table)
        self._check_ids(table["doc_id"].to_pylist())
        for ids in self._tokens(table):
            tokens.write(ids.astype(self.dtype).tobytes())
        pq.write_table(table.replace_schema_metadata(None), self.folder / name, compression="zstd")
        self.shards.append({**self._entry(name), "documents": table.num_rows})
        if hidden is not None:
            if hidden.num_rows != table.num_rows:
                raise UserError(f"{self.target}: {hidden.num_rows} rows of latents for {table.num_rows} documents")
            (self.folder / LATENTS).mkdir(exist_ok=True)
            pq.write_table(hidden.replace_schema_metadata(None), self.folder / LATENTS / name, compression="zstd")
            self.latents.append(self._entry(f"{LATENTS}/{name}"))

    def _check_columns(self, table: pa.Table) -> None:
        if "doc_id" not in table.column_names or not {"text", "tokens"} & set(table.column_names):
            raise UserError(f"{self.target}: documents need doc_id and text or tokens, not {table.column_names}")
        if self.columns is None:
            self.columns = table.column_names
        elif self.columns != table.column_names:
            raise UserError(f"{self.target}: one shard has columns {self.columns}, another {table.column_names}")

    def _check_ids(self, ids: list) -> None:
        for doc_id in ids:
            if not isinstance(doc_id, str):
                raise UserError(f"{self.target}: document {len(self.ids)} has doc_id {doc_id!r}, expected a string")
            self.ids.add(doc_id)

    def _check_unique(self) -> None:
        twice = np.flatnonzero(self.ids.first() != np.arange(len(self.ids)))
        if twice.size:
            firsts = np.cumsum([0] + [shard["documents"] for shard in self.shards])
            shard = int(np.searchsorted(firsts, twice[0], side="right")) - 1
            ids = pq.read_table(self.folder / self.shards[shard]["file"], columns=["doc_id"], partitioning=None)
            doc_id = ids["doc_id"][int(twice[0] - firsts[shard])].as_py()
            raise UserError(f"{self.target}: two documents have the doc_id {doc_id!r}")

    def _tokens(self, table: pa.Table) -> Iterable[np.ndarray]:
        """Flat ids of the shard's documents, in batches; notes their lengths."""
        if "tokens" in table.column_names:
            column = table["tokens"].combine_chunks()
            column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            if column.null_count:
                raise UserError(f"{self.target}: a document has no tokens (null)")
            self.lengths.append(column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64))
            flat = column.flatten().to_numpy(zero_copy_only=False)
            if flat.size and not (flat.min() >= 0 and flat.max() < self.tokenizer.symbols):
                raise UserError(
                    f"{self.target}: tokens {flat.min()}..{flat.max()} are outside 0..{self.tokenizer.symbols - 1}"
                )
            yield flat
            return
        for texts in text_batches(table["text"]):
            if None in texts:
                raise UserError(f"{self.target}: a document has no text (null)")
            encoded = self.tokenizer.encode(texts)
            self.lengths.append(np.array([ids.size for ids in encoded], dtype=np.int64))
            yield np.concatenate(encoded)

    def _entry(self, name: str) -> dict:
        path = self.folder / name
        return {"file": name, "bytes": path.stat().st_size, "sha256": file_hash(path)}
