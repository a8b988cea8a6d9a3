"""Sources: where documents come from, a world or files, as named splits of one population.

A source is a plugin of the group ``sbp_bayes.sources``. Past this point nothing knows whether a document was
sampled or read.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from sbp_bayes.documents.text_files import TextDocument
from sbp_bayes.documents.text_lines import Unreadable
from sbp_bayes.errors import UserError

SPLITS = ("real", "validation", "heldout", "oracle")


@dataclass(frozen=True)
class SplitSizes:
    """Documents wanted in each split; ``oracle`` counts the whole pool, the real documents among them.

    fit: where there are fewer, the splits shrink, see `within`; oracle_read: whether the pool beyond ``real`` is used.
    """

    real: int
    validation: int
    heldout: int
    oracle: int
    fit: bool = False
    oracle_read: bool = True

    def __post_init__(self) -> None:
        for split in SPLITS:
            if getattr(self, split) < 1:
                raise UserError(f"split {split}: {getattr(self, split)} documents asked for, expected at least 1")
        if self.oracle < self.real:
            raise UserError(f"split oracle: {self.oracle} documents cannot contain the {self.real} real ones")

    def within(self, usable: int) -> "SplitSizes":
        """These sizes, or with ``fit`` what ``usable`` documents allow, at least 1 of each.

        A pool that nothing reads is ``real``. Where there are too few documents, ``validation`` and ``heldout`` are at
        most a fifth of them each, and ``oracle`` has the rest; ``real`` shrinks when ``oracle`` is down to twice it.
        """
        if not self.fit:
            return self
        pool = self.oracle if self.oracle_read else self.real
        if self.validation + self.heldout + pool <= usable:
            return replace(self, oracle=pool)
        fifth = max(1, usable // 5)
        validation, heldout = min(self.validation, fifth), min(self.heldout, fifth)
        oracle = max(1, min(pool, usable - validation - heldout))
        real = max(1, min(self.real, int(oracle / min(2.0, pool / self.real))))
        return replace(self, real=real, validation=validation, heldout=heldout, oracle=oracle)


@dataclass(frozen=True)
class SplitTables:
    """One split: ``documents`` (doc_id, text or tokens, metadata) and, row by row, what only a referee may see."""

    documents: pa.Table
    latents: pa.Table | None


class Source(Protocol):
    """What every source has; a source is also a `SplitSource` or a `ReadSource`.

    Everything is a function of the options and seed.
    """

    pairing_rule: str  # the rule of [pairing] that suits the source: truth where latents are exact, else similarity

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "Source":
        """From the table [corpus.<name>] of an experiment; UserError for a wrong key or value."""

    def identity(self) -> dict:
        """Plain JSON that differs whenever the documents could: a stage's identity rests on it. Reads no document."""

    def describe(self) -> dict:
        """Plain JSON for the provenance; ``label`` names the source in tables and figures."""


class SplitSource(Source, Protocol):
    """Yields splits, in memory: ``real`` (D), ``validation``, ``heldout``, and ``oracle``, a pool that contains D.

    The others are disjoint from one another and from the pool.
    """

    def splits(self, sizes: SplitSizes) -> dict[str, SplitTables]:
        """The four splits; UserError where there are too few documents."""


@runtime_checkable
class ReadSource(Source, Protocol):
    """Yields documents one by one, as many as there are; `sbp_bayes.documents.prepare` cleans and divides them.

    name: for messages; has_concepts: whether documents carry concepts, known before any is read.
    """

    name: str
    has_concepts: bool

    def read(self) -> Iterator[tuple[str, TextDocument] | Unreadable]:
        """Documents in an order that never changes, each with the id of the document that it is a part of (or its own).

        What can't be read comes as `Unreadable`, in its place.
        """


def check_options(table: str, options: Mapping[str, Any], known: Collection[str]) -> None:
    """UserError for keys that the source does not know, listing those it does."""
    for key in options:
        if key not in known:
            raise UserError(f"{table}.{key}: no such option (there are: {', '.join(sorted(known))})")


def check_types(table: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """UserError for a value that is not of the type of its default."""
    for key, value in options.items():
        if type(value) is not type(defaults[key]):
            raise UserError(f"{table}.{key} = {value!r}: expected {type(defaults[key]).__name__}")
