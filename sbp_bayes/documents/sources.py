"""Sources: where documents come from, a world or files, as named splits of one population.

A source is a plugin of the group ``sbp_bayes.sources``. Past this point nothing knows whether a document was
sampled or read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from sbp_bayes.errors import UserError

SPLITS = ("real", "validation", "heldout", "oracle")


@dataclass(frozen=True)
class SplitSizes:
    """Documents wanted in each split; ``oracle`` counts the whole pool, the real documents among them."""

    real: int
    validation: int
    heldout: int
    oracle: int

    def __post_init__(self) -> None:
        for split in SPLITS:
            if getattr(self, split) < 1:
                raise UserError(f"split {split}: {getattr(self, split)} documents asked for, expected at least 1")
        if self.oracle < self.real:
            raise UserError(f"split oracle: {self.oracle} documents cannot contain the {self.real} real ones")


@dataclass(frozen=True)
class SplitTables:
    """One split: ``documents`` (doc_id, text or tokens, metadata) and, row by row, what only a referee may see."""

    documents: pa.Table
    latents: pa.Table | None


class Source(Protocol):
    """Yields splits: ``real`` (D), ``validation``, ``heldout``, and ``oracle``, a pool that contains ``real``.

    The others are disjoint from one another and from the pool. Everything is a function of the options and seed.
    """

    pairing_rule: str  # the rule of [pairing] that suits the source: truth where latents are exact, else similarity

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "Source":
        """From the table [corpus.<name>] of an experiment; UserError for a wrong key or value."""

    def splits(self, sizes: SplitSizes) -> dict[str, SplitTables]:
        """The four splits; UserError where there are too few documents."""

    def identity(self) -> dict:
        """Plain JSON that differs whenever the documents could: a stage's identity rests on it. Reads no document."""

    def describe(self) -> dict:
        """Plain JSON for the provenance; ``label`` names the source in tables and figures."""


def check_options(table: str, options: Mapping[str, Any], known: Collection[str]) -> None:
    """UserError for keys that the source does not know, listing those it does."""
    for key in options:
        if key not in known:
            raise UserError(f"{table}.{key}: no such option (there are: {', '.join(sorted(known))})")
