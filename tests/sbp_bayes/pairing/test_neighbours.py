import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.pairing import neighbours
from sbp_bayes.pairing.neighbours import nearest


def unit(rng, n, d):
    vectors = rng.normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_sorting(vectors, k, positive):
    """The definition: every other document, by score and then index."""
    scores = vectors @ vectors.T
    found = []
    for i, row in enumerate(scores):
        others = [j for j in range(len(row)) if j != i and (row[j] > 0 or not positive)]
        found.append(sorted(others, key=lambda j: (-row[j], j))[:k])
    return found


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 60), st.integers(1, 20), st.integers(0, 1000))
def test_dense_search_is_exact(n, k, seed):
    vectors = unit(np.random.default_rng(seed), n, 8)
    found = nearest(vectors, k)
    assert found.indices.shape == found.scores.shape == (n, k)
    for row, scores, expected in zip(found.indices, found.scores, by_sorting(vectors, k, False), strict=True):
        valid = row >= 0
        assert row[valid].tolist() == expected
        assert np.isneginf(scores[~valid]).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 60), st.integers(1, 20), st.integers(0, 1000))
def test_sparse_search_is_exact_and_breaks_ties_by_index(n, k, seed):
    # Integer weights make scores exact, so that ties are real and frequent.
    dense = np.random.default_rng(seed).integers(0, 3, size=(n, 6)) * (
        np.random.default_rng(seed + 1).random((n, 6)) < 0.5
    )
    vectors = sparse.csr_matrix(dense.astype(np.float32))
    found = nearest(vectors, k)
    for row, expected in zip(found.indices, by_sorting(dense.astype(np.float32), k, True), strict=True):
        assert row[row >= 0].tolist() == expected


def test_equal_vectors_are_listed_by_index():
    vectors = np.tile(unit(np.random.default_rng(0), 1, 8), (6, 1))
    found = nearest(vectors, 3)
    assert found.indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_sparse_search_does_not_depend_on_the_block(monkeypatch, block):
    vectors = sparse.random_array((20, 30), density=0.2, rng=np.random.default_rng(0), dtype=np.float32).tocsr()
    expected = nearest(vectors, 5)
    monkeypatch.setattr(neighbours, "BLOCK_SCORES", block)
    found = nearest(vectors, 5)
    assert (found.indices == expected.indices).all()
    assert (found.scores == expected.scores).all()


def test_documents_without_a_common_term_are_no_neighbours():
    found = nearest(sparse.csr_matrix(np.eye(3, dtype=np.float32)), 2)
    assert (found.indices == -1).all()
