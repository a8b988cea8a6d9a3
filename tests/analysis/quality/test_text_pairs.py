"""Similarity and headwords on the writers that they have to tell from the right one."""

import numpy as np
import pytest

from analysis.quality.embedding import tfidf_embedder
from analysis.quality.headwords import Entries, names_its_headword, nearest_headwords
from analysis.quality.similarity import another, cosines


@pytest.fixture(scope="module")
def embed(material):
    return tfidf_embedder([material.real])


def test_cosines_are_those_of_dense_vectors(embed, material):
    first, second = embed(material.real[:20]), embed(material.d1[5:25])
    expected = (first.toarray() * second.toarray()).sum(axis=1)
    assert cosines(first, second) == pytest.approx(expected, abs=1e-6)
    assert cosines(first.toarray(), second.toarray()) == pytest.approx(expected, abs=1e-6)
    assert cosines(first, first) == pytest.approx(np.ones(20), abs=1e-6)


def test_another_is_of_another_group_and_every_document_is_drawn():
    groups = np.repeat(np.arange(40), 3)
    other = another(groups, np.random.default_rng(0))
    assert (groups[other] != groups).all()
    assert sorted(other) == list(range(120))
    assert another(np.zeros(3, int), np.random.default_rng(0)).tolist() == [0, 1, 2]


def test_similarity_orders_the_writers(embed, material):
    d1 = embed(material.d1)
    to_d1 = {name: cosines(embed(texts), d1).mean() for name, texts in material.written.items()}
    random = cosines(embed(material.written["right"]), d1[another(material.seeds, np.random.default_rng(0))]).mean()
    assert to_d1["copier"] == pytest.approx(1, abs=1e-5)
    assert 3 * random < to_d1["right"] < 0.9
    assert to_d1["of another"] == pytest.approx(random, abs=0.03)


def test_the_nearest_headword_catches_the_writer_of_other_documents(embed, material):
    _, codes = np.unique(material.concepts, return_inverse=True)
    entries = Entries(embed(material.real), codes, np.arange(len(codes)))
    truth = codes[material.seeds]
    precision = {
        name: (nearest_headwords(embed(texts), entries, material.seeds) == truth).mean()
        for name, texts in material.written.items()
    }
    assert precision["right"] > 0.8
    assert precision["of another"] < 0.05
    # A copy of d1 is judged by d1's other entry alone.
    alone = Entries(entries.vectors[::2], codes[::2], np.arange(0, len(codes), 2))
    copier = nearest_headwords(embed(material.real[::2]), alone, np.arange(0, len(codes), 2))
    assert (copier == codes[::2]).mean() == 0


def test_a_headword_is_named_as_a_whole_word():
    texts = ["Cup, n. A vessel.", "cupboard, n.", "a tea-cup.", "C.U.P (x)"]
    assert names_its_headword(texts, ["cup", "cup", "cup", "c.u.p"]).tolist() == [True, False, True, True]
