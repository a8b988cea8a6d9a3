"""The fate of candidate pairs, against the definitions written out pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.filters import ALIKE, BELOW_ALPHA, CONTAINED, KEPT, NEAR_DUPLICATE, NOT_MUTUAL, fates_of
from sbp_bayes.pairing.rules import Candidates
from sbp_bayes.pairing.terms import Terms

DOCUMENTS = 7


@st.composite
def candidates(draw):
    """Each document with some others, by falling scores; ties are frequent."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    scores = rng.integers(-3, 4, (DOCUMENTS, DOCUMENTS)) / 3
    d1, d2, score = [], [], []
    for i in range(DOCUMENTS):
        others = sorted((j for j in range(DOCUMENTS) if j != i), key=lambda j: (-scores[i, j], j))
        for j in others[: rng.integers(0, DOCUMENTS)]:
            d1, d2, score = [*d1, i], [*d2, j], [*score, scores[i, j]]
    return Candidates(np.array(d1, int), np.array(d2, int), np.array(score, np.float32))


def config(**changes):
    return PairingConfig(**{"rule": "similarity", "alpha": 0.0, "shingle": 0, "pairs_per_document": 20, **changes})


@settings(deadline=None, max_examples=60)
@given(candidates(), st.integers(1, 3), st.integers(1, 4))
def test_caps_keep_the_most_similar_of_each_document(found, cap, per_document):
    fates = fates_of(found, config(cap=cap, pairs_per_document=per_document), None, DOCUMENTS)
    rows = list(zip(found.d1, found.d2, found.score, strict=True))
    left = [row for row in rows if row[2] > 0]
    for j in range(DOCUMENTS):
        mine = sorted((row for row in left if row[1] == j), key=lambda row: (-row[2], row[0]))
        left = [row for row in left if row not in mine[cap:]]
    for i in range(DOCUMENTS):
        mine = sorted((row for row in left if row[0] == i), key=lambda row: (-row[2], row[1]))
        left = [row for row in left if row not in mine[per_document:]]
    assert [row for row, kept in zip(rows, fates.kept, strict=True) if kept] == left
    assert sum(fates.counts().values()) == len(rows)


@settings(deadline=None, max_examples=40)
@given(candidates())
def test_mutual_pairs_are_those_that_were_found_from_both_ends(found):
    fates = fates_of(found, config(mutual=True, alpha=-1), None, DOCUMENTS)
    known = set(zip(found.d1.tolist(), found.d2.tolist(), strict=True))
    for i, j, score, reason in zip(found.d1, found.d2, found.score, fates.strings().to_pylist(), strict=True):
        expected = BELOW_ALPHA if score <= -1 else KEPT if (j, i) in known else NOT_MUTUAL
        assert reason == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"shingle": 3}, [NEAR_DUPLICATE, NEAR_DUPLICATE, KEPT]),
        ({"containment": 1.0, "overlap_shingle": 2}, [KEPT, CONTAINED, KEPT]),
        ({"jaccard": 0.5, "overlap_shingle": 2}, [ALIKE, KEPT, KEPT]),
        ({"containment": 0.6, "jaccard": 0.5, "overlap_shingle": 2}, [CONTAINED, CONTAINED, KEPT]),
        ({"alpha": 0.85, "shingle": 3}, [NEAR_DUPLICATE, BELOW_ALPHA, BELOW_ALPHA]),
    ],
)
def test_near_duplicates_are_dropped_by_the_measures_asked_for(settings, expected):
    """Of document 0 with 6 runs of two: 1 has its first 4, 2 has 2 of them and no other, 3 has one word."""
    documents = [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 9, 8], [3, 4, 5], [6]]
    lengths = np.cumsum([0, *map(len, documents)])
    terms = Terms(np.concatenate(documents), lengths, np.arange(1, 11, dtype=np.uint64) * 977)
    found = Candidates(np.zeros(3, int), np.array([1, 2, 3]), np.array([0.9, 0.8, 0.7], np.float32))
    fates = fates_of(found, config(**settings), terms, 4)
    assert fates.strings().to_pylist() == expected
    near = [reason not in (KEPT, BELOW_ALPHA) for reason in expected]
    assert fates.copies[:2].tolist() == (near[:2] if settings.get("alpha") is None else [True, True])
