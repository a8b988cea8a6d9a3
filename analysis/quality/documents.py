"""The rows of a column that its documents alone decide, and those of its documents beside all of D."""

from collections.abc import Iterable

import numpy as np

from analysis import measures
from analysis.quality.column import Column
from analysis.quality.diversity import distinct_runs
from analysis.quality.duplicates import exact_duplicates, near_duplicates
from analysis.quality.estimate import Estimate, mean
from analysis.quality.lengths import length_distance, length_quantiles
from analysis.quality.novelty import LONGEST, found_in_corpus
from analysis.quality.repetition import repeats_a_run
from analysis.quality.words import Words
from analysis.rows import Rows

REPEATED = (5, 13)
DISTINCT = (1, 2, 3, 4)
SIMILAR = 0.8  # Jaccard similarity of near-duplicates, of their
SHINGLE = 5  # runs of so many words
SHARE = "share of documents"


def add_estimate(rows: Rows, measure: str, subject: str, found: Estimate, unit: str, at: float | None = None) -> None:
    """A row of an estimate that has no null."""
    rows.add(measure, subject, found.value, found.se, found.n, None, unit, at)


def add_documents(rows: Rows, column: Column, words: Words, real: Words) -> None:
    """Repetition and lengths; ``words`` are the column's, ``real`` those of real text."""
    for n in REPEATED:
        found = mean(repeats_a_run(words, n), column.groups)
        add_estimate(rows, measures.TEXT_REPETITION, column.name, found, SHARE, float(n))
    lengths = words.lengths
    add_estimate(rows, measures.TEXT_WORDS, column.name, mean(lengths, column.groups), "words/document")
    for at, length in length_quantiles(lengths).items():
        rows.add(measures.TEXT_WORDS_QUANTILE, column.name, length, None, len(lengths), None, "words/document", at)
    distance = length_distance(lengths, real.lengths)
    rows.add(measures.TEXT_LENGTH_DISTANCE, column.name, distance, None, len(lengths), 0.0, "difference of shares")


def add_variety(rows: Rows, column: Column, words: Words, size: int, at_words: int) -> None:
    """Duplicates among the first ``size`` documents, and distinct runs in the first ``at_words`` words.

    Both depend on how much is looked at, which has to be the same in every column.
    """
    texts, groups = column.texts[:size], column.groups[:size]
    exact, near = exact_duplicates(texts), near_duplicates(texts, SIMILAR, SHINGLE)
    add_estimate(rows, measures.TEXT_DUPLICATES, column.name, mean(exact, groups), SHARE)
    add_estimate(rows, measures.TEXT_NEAR_DUPLICATES, column.name, mean(near, groups), SHARE)
    for n in DISTINCT:
        share = distinct_runs(words, n, at_words)
        rows.add(measures.TEXT_DISTINCT, column.name, share, None, size, None, "share of runs", float(n))


def add_beside_corpus(rows: Rows, column: Column, words: Words, corpus: Iterable[list[str]]) -> None:
    """Copying of D and what is new in it; corpus: the texts of D in batches."""
    found = found_in_corpus(words, corpus)
    add_estimate(rows, measures.TEXT_CORPUS_COPYING, column.name, mean(found.copied(), column.groups), SHARE)
    add_novelty(rows, measures.TEXT_NOVELTY_TO_CORPUS, column.name, found, column.groups)


def add_novelty(rows: Rows, measure: str, subject: str, found, groups: np.ndarray) -> None:
    """The share of new runs of each length that documents have."""
    for n in range(1, LONGEST + 1):
        share = found.novel(n, groups)
        if not np.isnan(share.value):
            add_estimate(rows, measure, subject, share, "share of runs", float(n))
