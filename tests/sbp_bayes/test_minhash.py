"""MinHash signatures against sets of shingles: what they are, what they estimate, which pairs bands name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.pairing.minhash import alike_in_a_band, mix, permutations, resemblance, signatures
from sbp_bayes.pairing.near_duplicates import shingles
from sbp_bayes.pairing.terms import Terms

WORD = 2**64


def terms_of(documents, kinds=400) -> Terms:
    offsets = np.cumsum([0, *map(len, documents)])
    ids = np.array([i for document in documents for i in document], dtype=np.int64)
    return Terms(ids, offsets, np.random.default_rng(0).integers(0, WORD, size=kinds, dtype=np.uint64))


def mixed(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB % WORD
    return x ^ x >> 31


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 3), max_size=7), min_size=1, max_size=5), st.integers(1, 4), st.integers(0, 9))
def test_signatures_are_least_values_in_whole_number_arithmetic(documents, n, seed):
    terms = terms_of(documents)
    found = signatures(terms, n, hashes=3, seed=seed)
    multipliers, increments = (row.tolist() for row in permutations(3, seed))
    assert all(a % 2 == 1 for a in multipliers)
    hashes, owners = shingles(terms, n)
    for i, row in enumerate(found.tolist()):
        values = [mixed(int(s)) for s in hashes[owners == i]]
        for value, a, b in zip(row, multipliers, increments, strict=True):
            assert value == min([(a * x + b) % WORD for x in values], default=WORD - 1)


def test_mix_is_splitmix64():
    """The first outputs of its authors' generator from seed 0: the state goes up by the golden ratio."""
    states = np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert [f"{x:016x}" for x in mix(states)] == ["e220a8397b1dcdaf", "6e789e6aa1b965f4", "06c45d188009454f"]


@pytest.mark.parametrize("shared", [0, 20, 100, 200])
def test_agreement_estimates_the_jaccard_similarity_without_bias(shared):
    """Sets of single terms: 200 in one document, 200 in the other, ``shared`` in both."""
    terms = terms_of([range(200), range(200 - shared, 400 - shared)])
    jaccard, hashes, seeds = shared / (400 - shared), 64, 60
    found = [resemblance(signatures(terms, 1, hashes, seed), np.array([[0, 1]]))[0] for seed in range(seeds)]
    error = (jaccard * (1 - jaccard) / (hashes * seeds)) ** 0.5
    assert abs(np.mean(found) - jaccard) <= 4 * error
    assert np.std(found) <= 1.5 * (jaccard * (1 - jaccard) / hashes) ** 0.5


def test_bands_name_the_near_duplicates_and_few_others():
    rng = np.random.default_rng(0)
    originals = [rng.integers(0, 400, size=120).tolist() for _ in range(40)]
    copies = [[*document[:100], *rng.integers(0, 400, size=20).tolist()] for document in originals[:10]]
    terms = terms_of([*originals, *copies, [], []])
    found = alike_in_a_band(signatures(terms, 3, hashes=128), bands=32)
    assert found.tolist() == [[i, 40 + i] for i in range(10)]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 4]))
def test_pairs_are_those_that_agree_in_a_band(seed, bands):
    rows = np.random.default_rng(seed).integers(0, 2, size=(8, 4)).astype(np.uint64)
    width = 4 // bands
    expected = [
        [i, j]
        for i in range(8)
        for j in range(i + 1, 8)
        if any((rows[i, b : b + width] == rows[j, b : b + width]).all() for b in range(0, 4, width))
    ]
    assert alike_in_a_band(rows, bands).tolist() == expected
