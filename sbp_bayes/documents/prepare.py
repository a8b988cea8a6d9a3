"""From the documents that a source reads to the splits of an experiment: clean, without copies, divided by groups.

Documents are read once, set aside on disk, and taken back split by split. Memory: some 150 bytes a document and one
shard, not the text; disk, while it lasts: the text once (near-duplicates: `sbp_bayes.documents.near_copies`).
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.copies import COPY, TWICE, Digests, first_of
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.near_copies import near_copies
from sbp_bayes.documents.passing import BY_ITSELF, passing, same_text
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.spill import Spill, SpillWriter
from sbp_bayes.documents.splits import split_groups
from sbp_bayes.documents.text_files import TextDocument
from sbp_bayes.documents.text_lines import Unreadable
from sbp_bayes.errors import UserError

NEAR, ALONE = "near-duplicates", "alone with their concept"
COPIED_TOGETHER = 1 << 16


@dataclass(frozen=True)
class Prepared:
    """The splits of an experiment, on disk.

    rows: split -> numbers of its documents, in order; statistics: counts of documents, for the provenance.
    """

    rows: dict[str, np.ndarray]
    statistics: dict[str, int]
    spill: Spill
    characters: np.ndarray

    def shards(self, split: str) -> Iterator[pa.Table]:
        """The documents of a split as tables (doc_id, text, source, concept), shard by shard."""
        return self.spill.shards(self.rows[split], self.characters)


def prepare(
    documents: Iterable[tuple[str, TextDocument] | Unreadable],
    name: str,
    clean: CleanSettings,
    by_concept: bool,
    sizes: SplitSizes,
    seed: int,
    dropped: Dropped,
    scratch: Path,
) -> Prepared:
    """Read ``documents`` once, leave out what ``clean`` says, and divide the rest by groups.

    documents: (parent, document), where the parent is the id of the document that a part is of. A group is a concept,
    or, without ``by_concept``, a parent with its parts; by concept, only documents whose concept has at least two are
    used, so that held-out concepts are unseen and every real document has a partner. name: of the corpus, in messages.
    scratch: a folder for what is set aside; it must last as long as what is returned. Of copies the first is kept.
    UserError: what can't be read and documents that are too long, unless ``clean`` says otherwise; too few documents.
    """
    gathered = _gather(documents, clean, by_concept, dropped, scratch / "documents.arrow")
    spill = Spill(scratch / "documents.arrow")
    usable = _without_copies(gathered, spill, name, clean, dropped, scratch)
    groups = _groups(gathered.groups, usable)
    if by_concept:
        alone = np.flatnonzero(usable)[np.bincount(groups[usable], minlength=1)[groups[usable]] < 2]
        for doc_id in _in_pieces(alone, spill):
            dropped.add(doc_id, ALONE)
        groups[alone] = -1
    statistics = {
        "documents or parts read": gathered.read,
        **dropped.counts,
        "groups": int(groups.max(initial=-1)) + 1,
        "usable": int((groups >= 0).sum()),
    }
    return Prepared(split_groups(groups, sizes, seed, name), statistics, spill, gathered.characters)


@dataclass(frozen=True)
class _Gathered:
    """What is remembered of every document set aside: digests of text and id, its group's hash, its length."""

    texts: Digests
    ids: Digests
    groups: np.ndarray
    characters: np.ndarray
    read: int


def _gather(
    documents: Iterable[tuple[str, TextDocument] | Unreadable],
    clean: CleanSettings,
    by_concept: bool,
    dropped: Dropped,
    path: Path,
) -> _Gathered:
    """Set aside the documents that pass by themselves."""
    texts, ids = Digests(), Digests()
    groups, characters = array("Q"), array("q")
    with SpillWriter(path) as spill:
        for parent, document in passing(documents, clean, by_concept, dropped):
            spill.add(document)
            texts.add(same_text(document.text))
            ids.add(document.doc_id)
            groups.append(xxhash.xxh3_64_intdigest((document.concept if by_concept else parent).encode()))
            characters.append(len(document.text))
    read = len(texts) + sum(dropped.counts[reason] for reason in BY_ITSELF)
    return _Gathered(
        texts, ids, np.frombuffer(groups, dtype=np.uint64), np.frombuffer(characters, dtype=np.int64), read
    )


def _without_copies(
    gathered: _Gathered, spill: Spill, name: str, clean: CleanSettings, dropped: Dropped, scratch: Path
) -> np.ndarray:
    """Which documents are no copies of earlier ones, (N,) bool; what is left out is noted with its twin."""
    everything = np.arange(len(spill))
    first = gathered.texts.first()
    usable = first == everything
    _note(dropped, spill, COPY, np.flatnonzero(~usable), first)

    rows = np.flatnonzero(usable)
    high, low = gathered.ids.arrays
    first = everything.copy()
    first[rows] = rows[first_of(high[rows], low[rows])]
    twice = np.flatnonzero(first != everything)
    if twice.size and clean.on_bad == "stop":
        raise UserError(f"{name}: two documents have the id {spill.doc_ids(twice[:1])[0]!r}")
    _note(dropped, spill, TWICE, twice, first)
    usable[twice] = False

    if clean.near_duplicates:
        rows = np.flatnonzero(usable)
        twins, shares = near_copies(spill.texts(rows), rows.size, clean.near_duplicates, clean.shingle, scratch)
        first, similarity = everything.copy(), np.ones(len(spill), dtype=np.float32)
        first[rows], similarity[rows] = rows[twins], shares
        near = rows[twins != np.arange(rows.size)]
        _note(dropped, spill, NEAR, near, first, similarity)
        usable[near] = False
    return usable


def _note(
    dropped: Dropped, spill: Spill, reason: str, rows: np.ndarray, first: np.ndarray, shares: np.ndarray | None = None
) -> None:
    """Note ``rows`` with their twins ``first[rows]``."""
    twins = _in_pieces(first[rows], spill)
    for row, doc_id, kept in zip(rows, _in_pieces(rows, spill), twins, strict=True):
        dropped.add(doc_id, reason, kept=kept, similarity=1.0 if shares is None else float(shares[row]))


def _in_pieces(rows: np.ndarray, spill: Spill) -> Iterator[str]:
    """The ids of ``rows``, some at a time."""
    for start in range(0, rows.size, COPIED_TOGETHER):
        yield from spill.doc_ids(rows[start : start + COPIED_TOGETHER])


def _groups(hashes: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Group numbers in order of first appearance among the usable documents, -1 for the others: (N,) int64."""
    groups = np.full(hashes.size, -1, dtype=np.int64)
    first = first_of(hashes[usable])
    numbers = np.cumsum(first == np.arange(first.size)) - 1
    groups[usable] = numbers[first]
    return groups
