"""Tiny worlds, small enough to enumerate every document: two drawn from dials, two with zeros in their parameters."""

import pytest
import torch

from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.hmm import ConceptHMM


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def bow_with_zeros() -> BagOfWords:
    """Word 2 is never used; word 0 rules concept 1 out, word 1 rules concept 2 out; no document has both 0 and 1
    unless it is of concept 0."""
    return BagOfWords(rows(0.5, 0.2, 0.3), rows([0.3, 0.7, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]), 4)


def hmm_with_zeros() -> ConceptHMM:
    """Concept 0 alternates words 0 and {1, 2}; concept 1 stays in its first state for good; concept 2 is dense."""
    return ConceptHMM(
        rows(0.2, 0.5, 0.3),
        rows([1.0, 0.0], [0.6, 0.4], [0.5, 0.5]),
        rows([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[0.3, 0.7], [0.6, 0.4]]),
        rows(
            [[1.0, 0.0, 0.0], [0.0, 0.4, 0.6]], [[0.0, 1.0, 0.0], [0.0, 0.2, 0.8]], [[0.9, 0.1, 0.0], [0.5, 0.5, 0.0]]
        ),
        4,
    )


TINY = {
    "bow": lambda: make_world("bow", seed=3, concepts=3, vocabulary=3, length=4, zipf=0.7),
    "hmm": lambda: make_world("hmm", seed=3, concepts=3, states=2, vocabulary=3, length=4, zipf=0.7),
    "bow with zeros": bow_with_zeros,
    "hmm with zeros": hmm_with_zeros,
}


@pytest.fixture(params=list(TINY))
def tiny_world(request):
    return TINY[request.param]()


@pytest.fixture(params=["bow", "hmm"])
def positive_world(request):
    """A tiny world without zeros."""
    return TINY[request.param]()


@pytest.fixture
def all_documents(tiny_world):
    """Every document of the tiny world: (V ** L, L)."""
    return torch.cartesian_prod(*[torch.arange(tiny_world.V)] * tiny_world.L)


@pytest.fixture(params=["bow with zeros", "hmm with zeros"])
def world_with_zeros(request):
    """A tiny world with documents that it never produces."""
    return TINY[request.param]()
