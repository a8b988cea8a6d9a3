"""Does a synthesized entry define the headword of its seed document? Told by the nearest real entry, no judge."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.quality.similarity import products

BATCH = 512


@dataclass(frozen=True)
class Entries:
    """Real documents that define something: vectors (N, D) unit, headwords (N,) int codes, rows (N,) their numbers."""

    vectors: Any
    headwords: np.ndarray
    rows: np.ndarray


def nearest_headwords(queries: Any, entries: Entries, left_out: np.ndarray) -> np.ndarray:
    """The headword of the entry nearest to each query (Q, D): (Q,) int.

    left_out: (Q,) the number of the entry that a query may not be matched with, its seed document, so that a
    paraphrase of d1 alone does not count; -1 for none. Cost O(Q N).
    """
    nearest = np.empty(queries.shape[0], dtype=np.int64)
    for start in range(0, queries.shape[0], BATCH):
        some = slice(start, start + BATCH)
        scores = products(queries[some], entries.vectors)
        scores[left_out[some, None] == entries.rows] = -np.inf
        nearest[some] = entries.headwords[scores.argmax(axis=1)]
    return nearest


def names_its_headword(texts: list[str], headwords: list[str]) -> np.ndarray:
    """Which documents hold their headword as whole words, capitals apart: (N,) bool."""
    import re

    pairs = zip(texts, headwords, strict=True)
    return np.array([bool(re.search(rf"(?<!\w){re.escape(h)}(?!\w)", t, re.IGNORECASE)) for t, h in pairs], dtype=bool)
