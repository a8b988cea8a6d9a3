"""The rows of a column that compare each document with its seed document d1."""

import numpy as np

from analysis import measures
from analysis.quality.column import RealText, Written
from analysis.quality.documents import SHARE, add_estimate, add_novelty
from analysis.quality.embedding import Embed
from analysis.quality.estimate import mean
from analysis.quality.headwords import Entries, names_its_headword, nearest_headwords
from analysis.quality.novelty import found_in_own
from analysis.quality.similarity import another, cosines
from analysis.quality.words import hashed_words
from analysis.rows import Rows


def add_copying(rows: Rows, subject: str, written: Written) -> None:
    """Copying of d1: share of documents, longest run in common, and what is new."""
    seeds, place = np.unique(written.seeds, return_index=True)
    theirs = hashed_words([written.d1[i] for i in place])
    found = found_in_own(hashed_words(written.d2), theirs.take(np.searchsorted(seeds, written.seeds)))
    add_estimate(rows, measures.TEXT_PAIR_COPYING, subject, mean(found.copied(), written.seeds), SHARE)
    add_estimate(rows, measures.TEXT_LONGEST_RUN, subject, mean(found.longest, written.seeds), "words")
    add_novelty(rows, measures.TEXT_NOVELTY_TO_D1, subject, found, written.seeds)


def add_similarity(rows: Rows, subject: str, written: Written, embed: Embed, rng: np.random.Generator) -> None:
    """Cosines with d1, with a real partner of d1, and with the seed document of another, drawn by ``rng``."""
    d2, d1 = embed(written.d2), embed(written.d1)
    other = another(written.seeds, rng)
    apart = np.flatnonzero(other != np.arange(len(other)))
    random = mean(cosines(d2[apart], d1[other[apart]]), written.seeds[apart])
    add_estimate(rows, measures.TEXT_SIMILARITY_TO_RANDOM, subject, random, "cosine")
    close = mean(cosines(d2, d1), written.seeds)
    rows.add(measures.TEXT_SIMILARITY_TO_D1, subject, close.value, close.se, close.n, random.value, "cosine")
    known = [i for i, partner in enumerate(written.partners) if partner is not None]
    if known:
        partners = embed([written.partners[i] for i in known])
        found = mean(cosines(d2[known], partners), written.seeds[known])
        measure = measures.TEXT_SIMILARITY_TO_PARTNER
        rows.add(measure, subject, found.value, found.se, found.n, random.value, "cosine")


def entries_of(real: RealText, headwords: list[str], embed: Embed) -> Entries:
    """Every document of ``real`` that has one of ``headwords``."""
    codes = {headword: code for code, headword in enumerate(headwords)}
    found = np.array([codes.get(headword, -1) for headword in real.headwords])
    numbers = np.flatnonzero(found >= 0)
    return Entries(embed(real.texts(numbers)), found[numbers], numbers)


def headwords_with_partner(real: RealText) -> list[str]:
    """The headwords that at least two documents define, sorted."""
    headwords, counts = np.unique(real.headwords[real.headwords != ""], return_counts=True)
    return headwords[counts > 1].tolist()


def add_headwords(
    rows: Rows,
    subject: str,
    written: Written,
    real: RealText,
    headwords: list[str],
    embed: Embed,
    size: int,
    rng: np.random.Generator,
) -> None:
    """Precision of the nearest headword among ``headwords``, over at most ``size`` documents written from them.

    real: the corpus of the seed documents. The null is the precision against the headwords of other seed documents.
    """
    codes = {headword: code for code, headword in enumerate(headwords)}
    wanted = np.array([codes.get(headword, -1) for headword in written.headwords])
    chosen = np.flatnonzero(wanted >= 0)[:size]
    if not chosen.size:
        return
    texts, truth = [written.d2[i] for i in chosen], wanted[chosen]
    entries = entries_of(real, headwords, embed)
    nearest = nearest_headwords(embed(texts), entries, written.left_out[chosen])
    other = another(truth, rng)
    found, chance = mean(nearest == truth, written.seeds[chosen]), float((nearest == truth[other]).mean())
    rows.add(measures.TEXT_HEADWORD, subject, found.value, found.se, found.n, chance, SHARE)
    said = [written.headwords[i] for i in chosen]
    named = mean(names_its_headword(texts, said), written.seeds[chosen])
    chance = float(names_its_headword(texts, [said[i] for i in other]).mean())
    rows.add(measures.TEXT_HEADWORD_NAMED, subject, named.value, named.se, named.n, chance, SHARE)
