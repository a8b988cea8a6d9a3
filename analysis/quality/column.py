"""What is put side by side: samples of a run's synthetic corpora and of real text, with their seed documents.

Corpora are read in one pass each; memory is that of the samples.
"""

from dataclasses import dataclass

import numpy as np

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.seeds import numpy_generator

SEED_DOCUMENT = "seed_doc"
CONCEPT = "concept"


@dataclass(frozen=True)
class Written:
    """Documents d2 beside the documents d1 that they were written from, or are real partners of.

    d2, d1: texts (M,); seeds: (M,) int64, d1's number in its corpus; headwords: d1's concept (M,), None where the
    corpus has none; partners: (M,) a real partner of d1, None where it has no other than d2; left_out: (M,) int64, the
    document of that corpus which must not be taken for the nearest to d2: d1, or where d2 is real, d2 itself.
    """

    d2: list[str]
    d1: list[str]
    seeds: np.ndarray
    headwords: list[str] | None
    partners: list[str | None]
    left_out: np.ndarray

    def first(self, size: int) -> "Written":
        """The first ``size`` of them, which are as random as all."""
        some = slice(size)
        headwords = None if self.headwords is None else self.headwords[some]
        return Written(
            self.d2[some], self.d1[some], self.seeds[some], headwords, self.partners[some], self.left_out[some]
        )


@dataclass(frozen=True)
class Column:
    """texts: (N,) a random sample of documents; groups: (N,) int64, equal for documents that are dependent;
    written: those with a seed document, None where there is none."""

    name: str
    texts: list[str]
    groups: np.ndarray
    written: Written | None


class RealText:
    """A real corpus as columns need it: its texts by number, its headwords, a partner of each document.

    headwords: (N,) str, "" for a document without one; None where the corpus has none.
    pairs: (P, 2) related pairs, which say who is whose partner where there are no headwords.
    """

    def __init__(self, corpus: Corpus, pairs: np.ndarray | None):
        self.corpus = corpus
        latents = corpus.latents()
        known = latents is not None and CONCEPT in latents.column_names
        self.headwords = (
            np.array(["" if c is None else str(c) for c in latents[CONCEPT].to_pylist()]) if known else None
        )
        self.pairs = _same_headword(self.headwords) if known else pairs

    def partner_of(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A partner of each document, of several a random one: (M,) int64, -1 where it has none."""
        partner = np.full(len(self.corpus), -1)
        if self.pairs is not None:
            shuffled = self.pairs[rng.permutation(len(self.pairs))]
            partner[shuffled[:, 0]] = shuffled[:, 1]
        return partner[rows]

    def texts(self, rows: np.ndarray) -> list[str | None]:
        """The texts of documents (M,), in one pass; None for -1."""
        wanted = np.unique(rows[rows >= 0])
        found = dict(zip(wanted.tolist(), _picked(self.corpus, wanted), strict=True))
        return [found.get(row) for row in rows.tolist()]

    def headwords_of(self, rows: np.ndarray) -> list[str] | None:
        """The headwords of documents (M,), None where nobody knows them."""
        return None if self.headwords is None else self.headwords[rows].tolist()


def synthetic_column(name: str, corpus: Corpus, real: RealText, size: int, seed: int) -> Column:
    """``size`` random documents of a synthetic corpus; d1 is told by its column ``seed_doc``, -1 or no column: none."""
    rng = numpy_generator("quality", name, seed)
    rows = _sample(len(corpus), size, rng)
    texts = _picked(corpus, rows)
    if SEED_DOCUMENT not in corpus.columns:
        return Column(name, texts, np.arange(len(texts)), None)
    seeds = np.array(corpus.column(SEED_DOCUMENT).to_pylist(), dtype=np.int64)[rows]
    kept = np.flatnonzero(seeds >= 0)
    groups = np.where(seeds >= 0, seeds, len(real.corpus) + np.arange(len(seeds)))
    if not kept.size:
        return Column(name, texts, groups, None)
    partners = real.partner_of(seeds[kept], rng)
    written = Written(
        [texts[i] for i in kept],
        real.texts(seeds[kept]),
        seeds[kept],
        real.headwords_of(seeds[kept]),
        real.texts(partners),
        seeds[kept],
    )
    return Column(name, texts, groups, written)


def real_column(name: str, heldout: RealText, training: RealText, size: int, seed: int) -> Column:
    """``size`` random held-out documents, and real pairs: held-out documents of one headword where headwords are known,
    else related pairs of ``training``, as the pairing rule found them in D."""
    rng = numpy_generator("quality", name, seed)
    rows = _sample(len(heldout.corpus), size, rng)
    texts = _picked(heldout.corpus, rows)
    source = heldout if heldout.headwords is not None else training
    d1 = rows if source is heldout else _sample(len(training.corpus), size, rng)
    d2 = source.partner_of(d1, rng)
    d1, d2 = d1[d2 >= 0], d2[d2 >= 0]
    if not d1.size:
        return Column(name, texts, rows, None)
    written = Written(source.texts(d2), source.texts(d1), d1, source.headwords_of(d1), [None] * len(d1), d2)
    return Column(name, texts, rows, written)


def _sample(total: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of ``size`` documents in random order, of all where there are fewer."""
    return rng.permutation(total)[:size]


def _picked(corpus: Corpus, rows: np.ndarray) -> list[str]:
    """The texts of documents in the order of ``rows``, in one pass over the corpus."""
    wanted = np.unique(rows)
    found: dict[int, str] = {}
    first = 0
    for texts in corpus.batches("text"):
        inside = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, first + len(texts))]
        found.update((row, texts[row - first]) for row in inside.tolist())
        first += len(texts)
    return [found[row] for row in rows.tolist()]


def _same_headword(headwords: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) of documents with the same headword, each document with the next of its headword in a ring."""
    names, codes = np.unique(headwords, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    place = np.arange(codes.size) - starts
    following = order[starts + (place + 1) % np.repeat(counts, counts)]
    return np.stack([order, following], axis=1)[(following != order) & (names[codes[order]] != "")]
