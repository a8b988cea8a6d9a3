"""Tiny worlds, small enough to enumerate every document: some drawn from dials, some with zeros in their parameters."""

import pytest
import torch

from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.grammar import ConceptGrammar
from synthetic_worlds.hmm import ConceptHMM
from synthetic_worlds.style import ConceptStyle
from synthetic_worlds.tree import ConceptTree


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


def style_with_zeros() -> ConceptStyle:
    """Concept 0 has word 1 in one style alone and word 2 in the other; concept 1 has only word 1."""
    words = rows([[[0.5, 0.5, 0.0]], [[0.5, 0.0, 0.5]]], [[[0.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]]])
    return ConceptStyle(rows(0.6, 0.4), rows(0.3, 0.7), words, 4)


def bigrams_with_zeros() -> ConceptStyle:
    """Concept 0 goes round 0, 1, 2 in one style and tosses 0 or 1 in the other; concept 1 has 0, then 1 for good."""
    start, cycle = [0.5, 0.5, 0.0], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    free, constant = [[0.5, 0.5, 0.0]] * 4, [[0.0, 1.0, 0.0]] * 3 + [[1.0, 0.0, 0.0]]
    return ConceptStyle(rows(0.6, 0.4), rows(0.3, 0.7), rows([[*cycle, start], free], [constant, constant]), 4)


def tree_with_zeros() -> ConceptTree:
    """Leaf 3 is never reached; each of the others lacks a word of its own, and no word of the root is ever used."""
    return ConceptTree(
        rows(0.0, 0.5, 0.5),
        (rows([0.4, 0.6]), rows([0.5, 0.5], [1.0, 0.0])),
        (
            rows([0.2, 0.3, 0.5]),
            rows([0.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
            rows([0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
        ),
        4,
    )


def grammar_with_zeros() -> ConceptGrammar:
    """The root splits into itself and symbol 1 or two of symbol 1, never in the middle; concept 1 has no word 0."""
    rules = rows(
        [[[0.0, 0.6], [0.0, 0.4]], [[0.0, 0.0], [0.0, 1.0]]],
        [[[0.0, 0.1], [0.0, 0.9]], [[0.0, 0.5], [0.5, 0.0]]],
    )
    words = rows([[0.7, 0.3, 0.0], [0.0, 0.2, 0.8]], [[0.0, 1.0, 0.0], [0.0, 0.3, 0.7]])
    splits = torch.zeros(5, 5, dtype=torch.float64)
    splits[2, 1], splits[3, 1:3], splits[4, 1:4] = 1.0, rows(0.3, 0.7), rows(0.5, 0.0, 0.5)
    return ConceptGrammar(rows(0.6, 0.4), rules, words, splits)


TINY = {
    "bow": lambda: make_world("bow", seed=3, concepts=3, vocabulary=3, length=4, zipf=0.7),
    "hmm": lambda: make_world("hmm", seed=3, concepts=3, states=2, vocabulary=3, length=4, zipf=0.7),
    "style": lambda: make_world("style", seed=3, concepts=3, styles=2, vocabulary=3, length=4, zipf=0.7),
    "bigrams": lambda: make_world("style", seed=3, concepts=3, styles=2, vocabulary=3, length=4, order=1),
    "tree": lambda: make_world("tree", seed=3, branching=2, levels=2, vocabulary=3, length=4, zipf=0.7),
    "grammar": lambda: make_world(
        "grammar", seed=3, concepts=3, symbols=3, vocabulary=3, length=4, word_overlap=0.5, balance=1.0, zipf=0.7
    ),
    "bow with zeros": bow_with_zeros,
    "hmm with zeros": hmm_with_zeros,
    "style with zeros": style_with_zeros,
    "bigrams with zeros": bigrams_with_zeros,
    "tree with zeros": tree_with_zeros,
    "grammar with zeros": grammar_with_zeros,
}


@pytest.fixture(params=list(TINY))
def tiny_world(request):
    return TINY[request.param]()


@pytest.fixture(params=[name for name in TINY if "zeros" not in name])
def positive_world(request):
    """A tiny world without zeros."""
    return TINY[request.param]()


@pytest.fixture
def all_documents(tiny_world):
    """Every document of the tiny world: (V ** L, L)."""
    return torch.cartesian_prod(*[torch.arange(tiny_world.V)] * tiny_world.L)


@pytest.fixture(params=[name for name in TINY if "zeros" in name])
def world_with_zeros(request):
    """A tiny world with documents that it never produces."""
    return TINY[request.param]()
