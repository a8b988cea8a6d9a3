"""The source ``text``: one's own .txt, .jsonl or .parquet files as the splits of an experiment."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from sbp_bayes.documents.sources import SplitSizes, SplitTables, check_options
from sbp_bayes.documents.splits import split_groups
from sbp_bayes.documents.text_files import Columns, TextDocument, find_files, read_documents
from sbp_bayes.errors import UserError

WORD_WITH_SPACE = re.compile(r"\s*\S+\s*")
LONG = ("split", "truncate", "error")
OPTIONS = {
    "path": "",
    "text_column": "text",
    "concept_column": "",
    "id_column": "",
    "source_column": "",
    "paragraphs": False,
    "max_words": 0,
    "long_documents": "split",
}


class TextSource:
    """Documents of files, read twice: once to count and to choose, once to collect what was chosen.

    Options of [corpus.text] (defaults in `OPTIONS`):
    path: a folder, a file or a glob; text_column, concept_column, id_column, source_column: of .jsonl and .parquet;
    paragraphs: a .txt file is a document for each block between blank lines;
    max_words, long_documents: a longer document is split into parts (at words), truncated, or an error; 0: no limit.

    Empty documents and exact copies (but for whitespace) are left out and counted. With a concept column splits
    are made by concept, of documents whose concept has at least two; so held-out concepts are unseen in training and
    every real document has a partner. Without one they are made by document; parts stay with their document.
    Memory: one hash a document, and what is chosen.
    """

    pairing_rule = "similarity"

    def __init__(self, options: Mapping[str, Any], seed: int):
        self.options = {**OPTIONS, **options}
        self.seed = seed
        self.statistics: dict[str, int] = {}
        option = self.options
        self.columns = Columns(
            option["text_column"],
            option["concept_column"] or None,
            option["id_column"] or None,
            option["source_column"] or None,
        )
        self.files = find_files(option["path"])
        place = Path(option["path"]).expanduser()
        self.root = place if place.is_dir() else self.files[0].parent

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "TextSource":
        check_options("corpus.text", options, OPTIONS)
        for key, value in options.items():
            if type(value) is not type(OPTIONS[key]):
                raise UserError(f"corpus.text.{key} = {value!r}: expected {type(OPTIONS[key]).__name__}")
        if not options.get("path"):
            raise UserError("corpus.text.path: expected a folder, a file or a glob of .txt, .jsonl or .parquet files")
        if options.get("long_documents", LONG[0]) not in LONG:
            raise UserError(f"corpus.text.long_documents = {options['long_documents']!r}: expected {', '.join(LONG)}")
        if options.get("max_words", 0) < 0:
            raise UserError(f"corpus.text.max_words = {options['max_words']}: expected 0 or more")
        return cls(options, seed)

    def identity(self) -> dict:
        stats = ((file, file.stat()) for file in self.files)
        files = [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]
        return {"source": "text", "options": self.options, "files": files}

    def describe(self) -> dict:
        label = f"text({Path(self.options['path']).name or self.options['path']})"
        return {"label": label, "options": self.options, "files": len(self.files), "statistics": self.statistics}

    def splits(self, sizes: SplitSizes) -> dict[str, SplitTables]:
        chosen = split_groups(self._groups(), sizes, self.seed, str(self.options["path"]))
        wanted = np.unique(np.concatenate(list(chosen.values())))
        rows = self._collect(set(wanted.tolist()))
        table = _table(rows)
        tables = {name: table.take(np.searchsorted(wanted, indices)) for name, indices in chosen.items()}
        return {name: SplitTables(documents, self._latents(documents)) for name, documents in tables.items()}

    def _latents(self, documents: pa.Table) -> pa.Table | None:
        return documents.select(["concept"]) if self.columns.concept else None

    def _documents(self) -> Iterator[tuple[str, TextDocument]]:
        """Every usable part of every document, with the id of the document it is of."""
        read = read_documents(self.files, self.root, self.columns, self.options["paragraphs"])
        for document in read:
            parts = self._parts(document)
            for number, part in enumerate(parts):
                doc_id = document.doc_id if len(parts) == 1 else f"{document.doc_id}~{number}"
                yield document.doc_id, TextDocument(doc_id, part, document.source, document.concept)

    def _parts(self, document: TextDocument) -> list[str]:
        text, limit, rule = document.text.strip(), self.options["max_words"], self.options["long_documents"]
        if not limit:
            return [text]
        words = WORD_WITH_SPACE.findall(text)
        if len(words) <= limit:
            return [text]
        if rule == "error":
            raise UserError(f"{document.doc_id}: {len(words)} words, corpus.text.max_words allows {limit}")
        stop = limit if rule == "truncate" else len(words)
        return ["".join(words[start : start + limit]).strip() for start in range(0, stop, limit)]

    def _groups(self) -> np.ndarray:
        """The group of every part, -1 for what is left out: (N,) int64. Fills in the statistics."""
        counts: Counter[str] = Counter()
        seen: set[int] = set()
        ids: set[str] = set()
        known: dict[str, int] = {}
        groups = []
        for parent, document in self._documents():
            counts["documents or parts read"] += 1
            group = -1
            digest = xxhash.xxh3_128_intdigest(" ".join(document.text.split()).encode())
            if not document.text:
                counts["empty"] += 1
            elif digest in seen:
                counts["exact copies"] += 1
            elif self.columns.concept and document.concept is None:
                counts["without a concept"] += 1
            else:
                if document.doc_id in ids:
                    raise UserError(f"{self.options['path']}: two documents have the id {document.doc_id!r}")
                seen.add(digest)
                ids.add(document.doc_id)
                group = known.setdefault(document.concept if self.columns.concept else parent, len(known))
            groups.append(group)
        array = np.array(groups, dtype=np.int64)
        if self.columns.concept:
            alone = (array >= 0) & (np.bincount(array[array >= 0], minlength=1)[array] < 2)
            counts["alone with their concept"] = int(alone.sum())
            array[alone] = -1
        self.statistics = {**counts, "groups": len(known), "usable": int((array >= 0).sum())}
        return array

    def _collect(self, wanted: set[int]) -> list[TextDocument]:
        return [document for i, (_, document) in enumerate(self._documents()) if i in wanted]


def _table(rows: list[TextDocument]) -> pa.Table:
    columns = {name: [getattr(row, name) for row in rows] for name in ("doc_id", "text", "source", "concept")}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
