"""The source ``text``: one's own .txt, .jsonl or .parquet files as the documents of an experiment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sbp_bayes.documents.parts import cut_words
from sbp_bayes.documents.sources import check_options, check_types
from sbp_bayes.documents.text_files import (
    EXPECTED,
    Columns,
    TextDocument,
    common_folder,
    find_files,
    read_documents,
)
from sbp_bayes.documents.text_lines import Unreadable
from sbp_bayes.errors import UserError

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
    """Documents of files; `sbp_bayes.documents.prepare` cleans and divides them.

    Options of [corpus.text] (defaults in `OPTIONS`):
    path: a folder, a file or a glob, or a list of them; text_column, concept_column, id_column, source_column: of
    .jsonl and .parquet; paragraphs: a .txt file is a document for each block between blank lines;
    max_words, long_documents: a longer document is split into parts (at words), truncated, or an error; 0: no limit.
    """

    pairing_rule = "similarity"

    def __init__(self, options: Mapping[str, Any]):
        self.options = {**OPTIONS, **options}
        path = self.options["path"]
        self.columns = columns_of(self.options)
        self.has_concepts = self.columns.concept is not None
        self.files = find_files(path)
        if isinstance(path, str):
            place = Path(path).expanduser()
            self.root = place if place.is_dir() else self.files[0].parent
            self.name = path
        else:
            self.root = common_folder(self.files)
            self.files = [file.absolute() for file in self.files]
            self.name = " and ".join(path)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "TextSource":
        check_options("corpus.text", options, OPTIONS)
        path = options.get("path")
        places = path if isinstance(path, list) else [path]
        if not places or not all(isinstance(place, str) and place for place in places):
            raise UserError(
                f"corpus.text.path: expected a folder, a file or a glob of {EXPECTED} files, or a list of them"
            )
        check_types("corpus.text", {key: value for key, value in options.items() if key != "path"}, OPTIONS)
        if options.get("long_documents", LONG[0]) not in LONG:
            raise UserError(f"corpus.text.long_documents = {options['long_documents']!r}: expected {', '.join(LONG)}")
        if options.get("max_words", 0) < 0:
            raise UserError(f"corpus.text.max_words = {options['max_words']}: expected 0 or more")
        return cls(options)

    def identity(self) -> dict:
        stats = ((file, file.stat()) for file in self.files)
        files = [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]
        return {"source": "text", "options": self.options, "files": files}

    def describe(self) -> dict:
        path = self.options["path"]
        names = [Path(part).name or part for part in ([path] if isinstance(path, str) else path)]
        return {"label": f"text({'+'.join(names)})", "options": self.options, "files": len(self.files)}

    def read(self) -> Iterator[tuple[str, TextDocument] | Unreadable]:
        """Every document, or its parts, each with the id of the document that it is of."""
        for document in read_documents(self.files, self.root, self.columns, self.options["paragraphs"]):
            if isinstance(document, Unreadable):
                yield document
                continue
            parts = self._parts(document)
            for number, part in enumerate(parts):
                doc_id = document.doc_id if len(parts) == 1 else f"{document.doc_id}~{number}"
                yield document.doc_id, TextDocument(doc_id, part, document.source, document.concept)

    def _parts(self, document: TextDocument) -> list[str]:
        text, limit, rule = document.text.strip(), self.options["max_words"], self.options["long_documents"]
        parts = cut_words(text, limit) if limit else [text]
        if len(parts) <= 1:
            return [text]
        if rule == "error":
            words = len(text.split())
            raise UserError(f"{document.doc_id}: {words} words, corpus.text.max_words allows {limit}")
        return parts[:1] if rule == "truncate" else parts


def columns_of(options: Mapping[str, Any]) -> Columns:
    """The columns that options with the keys text_column, concept_column, id_column and source_column name."""
    optional = (options[f"{name}_column"] or None for name in ("concept", "id", "source"))
    return Columns(options["text_column"], *optional)
