"""The source ``hub``: a Hugging Face dataset by name, or a dataset's folder, read as a stream."""

from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

from sbp_bayes.documents.sources import check_options, check_types
from sbp_bayes.documents.text_files import TextDocument, document_of
from sbp_bayes.documents.text_lines import Unreadable, first_line
from sbp_bayes.documents.text_source import columns_of
from sbp_bayes.errors import UserError

OPTIONS = {
    "name": "",
    "config": "",
    "split": "train",
    "revision": "",
    "documents": 0,
    "text_column": "text",
    "concept_column": "",
    "id_column": "",
    "source_column": "",
}


class HubSource:
    """Documents of a dataset; `sbp_bayes.documents.prepare` cleans and divides them.

    Options of [corpus.hub] (defaults in `OPTIONS`): name: OWNER/DATASET, or a folder; config, split, revision: as the
    library ``datasets`` means them; documents: read so many from the start, 0: all;
    text_column, concept_column, id_column, source_column.

    Without a revision the identity of a run rests on the name alone: a dataset that changes is not noticed.
    """

    pairing_rule = "similarity"

    def __init__(self, options: Mapping[str, Any]):
        self.options = {**OPTIONS, **options}
        self.name = self.options["name"]
        self.columns = columns_of(self.options)
        self.has_concepts = self.columns.concept is not None

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "HubSource":
        check_options("corpus.hub", options, OPTIONS)
        check_types("corpus.hub", options, OPTIONS)
        if not options.get("name"):
            raise UserError('corpus.hub.name: missing; expected a dataset, such as "OWNER/DATASET", or its folder')
        if options.get("documents", 0) < 0:
            raise UserError(f"corpus.hub.documents = {options['documents']}: expected 0 or more")
        return cls(options)

    def identity(self) -> dict:
        folder = Path(self.name)
        stats = [(file, file.stat()) for file in sorted(folder.rglob("*")) if file.is_file()]
        files = [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]
        return {"source": "hub", "options": self.options, "files": files}

    def describe(self) -> dict:
        return {"label": f"hub({Path(self.name).name})", "options": self.options}

    def read(self) -> Iterator[tuple[str, TextDocument] | Unreadable]:
        """The dataset's rows in its own order; where the stream breaks off, an Unreadable comes last."""
        rows = islice(self._open(), self.options["documents"] or None)
        for number in count(1):
            try:
                row = next(rows, None)
            except Exception as error:  # the library raises whatever its readers and the network raise
                yield Unreadable(f"{self.name}: could not be read beyond row {number - 1} ({first_line(error)})")
                return
            if row is None:
                return
            found = document_of(row, f"{self.name}: row {number}", f"{self.name}#{number - 1}", self.name, self.columns)
            if isinstance(found, Unreadable):
                yield found
            else:
                stripped = TextDocument(found.doc_id, found.text.strip(), found.source, found.concept)
                yield stripped.doc_id, stripped

    def _open(self):
        try:
            from datasets import load_dataset
        except ImportError as error:
            raise UserError("[corpus.hub]: needs the extra hub: pip install 'sbp-bayes[hub]'") from error
        option = self.options
        try:
            return load_dataset(
                self.name,
                option["config"] or None,
                split=option["split"],
                revision=option["revision"] or None,
                streaming=True,
            )
        except Exception as error:
            raise UserError(f"corpus.hub.name = {self.name!r}: could not be opened ({first_line(error)})") from error
