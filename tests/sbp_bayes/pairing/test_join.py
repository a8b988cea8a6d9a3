"""The join in shards gives what one exact search gives, whatever the shards, the order of tasks and who dies."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.pairing.index_search import recall
from sbp_bayes.pairing.join import join_tasks, joined
from sbp_bayes.pairing.neighbours import nearest


def shards_of(folder, vectors, cuts):
    files = []
    for i, part in enumerate(np.split(vectors, cuts)):
        files.append(tuple(folder / f"vectors-{i}-{half}.npy" for half in range(2)))
        for file, vectors_of_file in zip(files[-1], np.array_split(part, 2), strict=True):
            np.save(file, vectors_of_file)
    return files


def by_sorting(vectors, k):
    scores = vectors @ vectors.T
    return [
        sorted((j for j in range(len(row)) if j != i), key=lambda j: (-row[j], j))[:k] for i, row in enumerate(scores)
    ]


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_shards_give_the_exact_neighbours_and_break_ties_by_index(tmp_path_factory, data):
    n, k = data.draw(st.integers(2, 40)), data.draw(st.integers(1, 12))
    # Whole numbers make scores exact, so that ties are real and frequent.
    vectors = np.random.default_rng(data.draw(st.integers(0, 999))).integers(-1, 2, (n, 4)).astype(np.float32)
    cuts = data.draw(st.lists(st.integers(1, n - 1), max_size=4, unique=True).map(sorted))
    folder = tmp_path_factory.mktemp("join")
    shards = shards_of(folder, vectors, cuts)
    for tasks in join_tasks(shards, folder / "work", k):
        for task in data.draw(st.permutations(tasks)):
            pickle.loads(pickle.dumps(task))()
    found, whole = joined(folder / "work", len(shards)), nearest(vectors, k)
    assert np.array_equal(found.indices, whole.indices)
    assert np.array_equal(found.scores, whole.scores)
    assert [row[row >= 0].tolist() for row in found.indices] == by_sorting(vectors, k)


def test_more_ties_than_the_search_lists_are_broken_by_index():
    """60 equal vectors at the end of the order in which faiss meets them, and one that is nearer."""
    vectors = np.array([[1, 0]] * 60 + [[2, 0]] + [[0, 1]], dtype=np.float32)
    found = nearest(vectors, 3)
    assert found.indices[:4].tolist() == [[60, 1, 2], [60, 0, 2], [60, 0, 1], [60, 0, 1]]
    assert found.indices[61].tolist() == [0, 1, 2]


@pytest.fixture
def vectors():
    found = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_killed_task_loses_that_task_alone(tmp_path, vectors, monkeypatch):
    shards = shards_of(tmp_path, vectors, [1000, 1500])
    blocks, merges = join_tasks(shards, tmp_path / "work", 5)
    assert len({task.name for task in [*blocks, *merges]}) == 9 + 3
    replace = os.replace
    for i, task in enumerate(blocks):
        if i != 4:
            task()
            continue

        def die(source, target):
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            task()
        monkeypatch.setattr(os, "replace", replace)
    assert [task.name for task in blocks if not task.file.exists()] == [blocks[4].name]
    assert sorted(file.name for file in (tmp_path / "work").iterdir()) == sorted(
        task.file.name for i, task in enumerate(blocks) if i != 4
    )
    blocks[4]()
    for task in merges:
        task()
    found, whole = joined(tmp_path / "work", len(shards)), nearest(vectors, 5)
    assert (found.indices == whole.indices).mean() > 0.999  # where rounding makes no other order
    np.testing.assert_allclose(found.scores, whole.scores, atol=1e-6)


def test_an_index_for_each_shard_finds_nearly_all(tmp_path, vectors):
    shards = shards_of(tmp_path, vectors, [1000, 2000])
    rounds = join_tasks(shards, tmp_path / "work", 5, index="IVF32,PQ8x4fsr,RFlat", nprobe=16)
    assert [len(tasks) for tasks in rounds] == [1, 3, 9, 3]
    for tasks in rounds:
        for task in tasks:
            task()
    found = joined(tmp_path / "work", len(shards))
    assert (found.indices != np.arange(3000)[:, None]).all()
    measured = recall([vectors[:700], vectors[700:]], found)
    assert 0.8 < measured["recall"] < 1
    few = join_tasks(shards, tmp_path / "few", 5, index="IVF32,PQ8x4fsr,RFlat", nprobe=1)
    for tasks in few:
        for task in tasks:
            task()
    assert (
        recall([vectors[:700], vectors[700:]], joined(tmp_path / "few", len(shards)))["recall"]
        < measured["recall"] - 0.2
    )
