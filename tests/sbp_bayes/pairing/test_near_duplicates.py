import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.tokenizer import BpeTokenizer
from sbp_bayes.pairing import near_duplicates
from sbp_bayes.pairing.near_duplicates import share_a_shingle
from sbp_bayes.pairing.terms import Terms, document_terms


def terms_of(documents):
    offsets = np.cumsum([0, *map(len, documents)])
    ids = np.array([i for document in documents for i in document], dtype=np.int64)
    hashes = np.random.default_rng(0).integers(0, 2**63, size=16).astype(np.uint64)
    return Terms(ids, offsets, hashes)


def runs(document, n):
    if len(document) < n:
        return {tuple(document)} - {()}
    return {tuple(document[i : i + n]) for i in range(len(document) - n + 1)}


@settings(deadline=None, max_examples=80)
@given(st.lists(st.lists(st.integers(0, 2), max_size=8), min_size=2, max_size=8), st.integers(1, 5))
def test_agrees_with_sets_of_runs(documents, n):
    pairs = np.array([(i, j) for i in range(len(documents)) for j in range(len(documents)) if i != j])
    found = share_a_shingle(terms_of(documents), pairs, n)
    expected = [bool(runs(documents[i], n) & runs(documents[j], n)) for i, j in pairs]
    assert found.tolist() == expected


def test_zero_switches_it_off():
    assert not share_a_shingle(terms_of([[1, 2], [1, 2]]), np.array([[0, 1]]), 0).any()


@pytest.mark.parametrize(("n", "expected"), [(5, [True, False]), (6, [False, False])])
def test_text_is_compared_by_words_whatever_their_case(tmp_path, n, expected):
    texts = [
        "One two, three four five six",
        "and now: ONE TWO THREE; four five seven",
        "one two three four and five six seven",
    ]
    table = pa.table({"doc_id": ["a", "b", "c"], "text": texts})
    corpus = write_corpus(tmp_path / "c", [table], BpeTokenizer.train(texts, 256))
    assert share_a_shingle(document_terms(corpus), np.array([[0, 1], [0, 2]]), n).tolist() == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 2), max_size=8), min_size=2, max_size=8), st.integers(1, 4), st.data())
def test_containment_and_jaccard_agree_with_sets_of_runs(documents, n, data):
    pairs = np.array([(i, j) for i in range(len(documents)) for j in range(len(documents)) if i != j])
    at_once = data.draw(st.sampled_from([1, 3, 1 << 18]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "PAIRS_AT_ONCE", at_once)
        contained, alike = near_duplicates.containment_and_jaccard(terms_of(documents), pairs, n)
    for pair, contains, jaccard in zip(pairs, contained, alike, strict=True):
        a, b = (runs(documents[i], n) for i in pair)
        assert contains == pytest.approx(len(a & b) / max(1, min(len(a), len(b))))
        assert jaccard == pytest.approx(len(a & b) / max(1, len(a | b)))
