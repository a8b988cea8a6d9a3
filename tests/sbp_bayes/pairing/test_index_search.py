import numpy as np
import pytest

from sbp_bayes.errors import UserError
from sbp_bayes.pairing import index_search
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.index_search import factory_for, nearest_by_index, recall
from sbp_bayes.pairing.neighbours import Neighbours, nearest
from sbp_bayes.pairing.rules import similar


@pytest.fixture(scope="module")
def vectors():
    """2,000 unit vectors around 100 centres."""
    rng = np.random.default_rng(0)
    found = rng.normal(size=(100, 16))[rng.integers(0, 100, 2000)] + 0.5 * rng.normal(size=(2000, 16))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("factory", ["auto", "IVF16,Flat"])
def test_looking_everywhere_finds_nearly_all(vectors, factory, capsys):
    found = nearest_by_index(vectors, 5, factory, nprobe=2000)
    measured = recall([vectors], found)
    assert measured["recall"] > 0.99
    assert (measured["k"], measured["rows"]) == (5, 1000)
    assert (found.indices != np.arange(2000)[:, None]).all()
    assert (np.diff(found.scores, axis=1) <= 0).all()
    exact = (vectors[np.arange(2000)[:, None]] * vectors[found.indices]).sum(2)
    np.testing.assert_allclose(found.scores, exact, atol=1e-5)
    assert capsys.readouterr().out == ""


def test_looking_into_few_lists_misses_what_the_recall_says(vectors):
    found = nearest_by_index(vectors, 5, "IVF50,Flat", nprobe=1)
    exact = nearest(vectors, 5)
    truth = np.mean([np.isin(a, b).mean() for a, b in zip(found.indices, exact.indices, strict=True)])
    assert truth < 0.95
    whole = recall([vectors], found, sample=5000)
    assert whole["recall"] == pytest.approx(truth, abs=1e-3)
    sampled = recall([vectors], found, sample=400)
    assert abs(sampled["recall"] - truth) < 4 * sampled["se"]
    assert sampled["se"] == pytest.approx(whole["se"] * 5**0.5, rel=0.3)


def test_the_block_does_not_matter(vectors, monkeypatch):
    whole = nearest_by_index(vectors, 5)
    monkeypatch.setattr(index_search, "BLOCK", 300)
    parts = nearest_by_index(vectors, 5)
    assert (whole.indices == parts.indices).all()


def test_ties_at_the_last_place_count_as_found():
    vectors = np.tile(np.eye(2, dtype=np.float32), (10, 1))
    others = Neighbours(np.tile(np.array([[18], [19]]), (10, 1)), np.ones((20, 1), np.float32))
    assert recall([vectors], others)["recall"] == 1.0
    assert recall([vectors], Neighbours(others.indices, others.scores - 1))["recall"] == 0.0


def test_the_index_is_used_beyond_the_size_set_and_says_so(vectors):
    exact, how = similar(vectors, PairingConfig(rule="similarity", top_k=5, exact_below=2000))
    assert how == {"method": "exact", "k": 5}
    found, how = similar(vectors, PairingConfig(rule="similarity", top_k=5, exact_below=1999, nprobe=50))
    assert how["method"] == factory_for(2000, 16) == "IVF50,PQ16x4fsr,RFlat"
    assert how["nprobe"] == 50
    assert how["recall"] > 0.99
    assert (found.d1 == exact.d1).all()


def test_factories():
    assert factory_for(265_000, 384) == "IVF1024,PQ192x4fsr,RFlat"
    assert factory_for(10_000_000, 16) == "IVF8192,PQ16x4fsr,RFlat"
    assert factory_for(20, 3) == "IVF1,PQ3x4fsr,RFlat"
    with pytest.raises(UserError, match=r'pairing\.index = "IVX": faiss refuses it'):
        nearest_by_index(np.eye(4, dtype=np.float32), 2, "IVX")
