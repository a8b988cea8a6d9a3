import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.documents.joined import JoinedSequences
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.pairing.path import document_path


def test_joined_documents_see_one_another_and_no_bos_between_them_counts(make_corpus, tokenizer):
    corpus = make_corpus([[1, 2], [3], [4, 5, 6]])
    joined = JoinedSequences(corpus, [np.array([2, 0]), np.array([1])], tokenizer)
    bos, eos = tokenizer.bos, tokenizer.eos
    tokens, weights = joined.sequence(0)
    assert tokens.tolist() == [bos, 4, 5, 6, eos, bos, 1, 2, eos]
    assert weights.tolist() == [1, 1, 1, 1, 0, 1, 1, 1]
    assert joined.lengths.tolist() == [8, 2]
    assert joined.name(0) == "joined documents d2, d0"
    batch = Packed(joined, 8, 0).batch(np.arange(2))
    assert sorted(batch.document_ids.max(dim=1).values.tolist()) == [1, 1]


def test_documents_joined_to_nothing_are_documents(make_corpus, tokenizer):
    corpus = make_corpus([[1, 2], [3]])
    joined = JoinedSequences(corpus, [np.array([0]), np.array([1])], tokenizer)
    single = DocumentSequences(corpus, tokenizer)
    for i in range(2):
        assert all(map(np.array_equal, joined.sequence(i), single.sequence(i)))


def test_other_groups_have_another_fingerprint(make_corpus, tokenizer):
    corpus = make_corpus([[1], [2], [3]])
    groups = [[0, 1], [2]], [[0], [1, 2]], [[1, 0], [2]]
    found = {JoinedSequences(corpus, [np.array(g) for g in group], tokenizer).fingerprint for group in groups}
    assert len(found) == 3


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_a_path_goes_through_every_document_once(drawn):
    documents, pairs = drawn
    path = document_path(np.array(pairs, dtype=np.int64).reshape(-1, 2), documents)
    assert sorted(path.tolist()) == list(range(documents))


def test_a_path_follows_the_pairs_wherever_they_lead_on():
    path = document_path(np.array([[0, 3], [3, 1], [4, 2]]), 5).tolist()
    steps = {frozenset(step) for step in itertools.pairwise(path)}
    assert {frozenset(pair) for pair in ((0, 3), (3, 1), (4, 2))} <= steps


@pytest.mark.parametrize("best", [1, 2])
def test_the_best_partner_comes_first(best):
    # Document 0 has the fewest partners, so that the path begins there.
    path = document_path(np.array([[0, best], [0, 3 - best], [1, 2], [1, 2], [1, 2]]), 3)
    assert path.tolist() == [0, best, 3 - best]
