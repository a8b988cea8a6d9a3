"""The MinHash kernel equals NumPy to the bit, and what it compiles to is checked with all kernels."""

import numpy as np
import pytest
import torch

from sbp_bayes.kernels import minhash as kernel
from sbp_bayes.pairing import minhash
from sbp_bayes.pairing.terms import Terms


def terms_of(lengths, kinds=40, seed=0) -> Terms:
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *lengths])
    hashes = rng.integers(0, 2**64, size=kinds, dtype=np.uint64)
    return Terms(rng.integers(0, kinds, size=int(offsets[-1])), offsets, hashes)


def by_kernel(terms: Terms, n: int, hashes: int, seed: int = 0) -> np.ndarray:
    return minhash._by_kernel("cpu", terms, n, *minhash.permutations(hashes, seed))


@pytest.mark.interpreter
@pytest.mark.parametrize("n", [1, 3, 13])
@pytest.mark.parametrize("hashes", [1, 12, 128])
def test_equals_numpy_to_the_bit(n, hashes):
    terms = terms_of([0, 1, 2, 3, 12, 13, 14, 100, 0, 31, 32, 33, 0])
    found = by_kernel(terms, n, hashes, seed=3)
    assert np.array_equal(found, minhash.signatures(terms, n, hashes, seed=3))
    assert (found[[0, 8, 12]] == 2**64 - 1).all() and (found[[1, 7]] < 2**64 - 1).all()


@pytest.mark.interpreter
def test_nothing_to_do_and_registration():
    assert by_kernel(terms_of([]), 3, 8).shape == (0, 8)
    assert (by_kernel(terms_of([0, 0]), 3, 8) == 2**64 - 1).all()
    terms = terms_of([5, 2])
    words = (*minhash.permutations(4, 0),)
    arrays = terms.ids, terms.offsets, terms.hashes.view(np.int64), *(word.view(np.int64) for word in words)
    torch.library.opcheck(kernel.minhash, (*map(torch.from_numpy, arrays), 3))
