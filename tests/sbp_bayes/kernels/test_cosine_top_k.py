"""The streaming search finds what sorting all scores finds: indices, scores and ties."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sbp_bayes.kernels import cosine_top_k as kernel
from sbp_bayes.pairing import neighbours
from sbp_bayes.seeds import generator

SMALL = {"ROWS": 16, "COLUMNS": 16, "DEPTH": 16}


def grid(n: int, width: int, name: str = "vectors") -> Tensor:
    """Small whole numbers: every order of summing gives the same score, and many scores tie."""
    return torch.randint(-2, 3, (n, width), generator=generator(name, n, width)).float()


def by_sorting(queries: Tensor, keys: Tensor, k: int, others: bool = False) -> tuple[Tensor, Tensor]:
    """The definition: all scores, best first, equal ones by index."""
    every = queries.float() @ keys.float().T
    if others:
        every.fill_diagonal_(-torch.inf)
    scores, indices = every.sort(dim=1, descending=True, stable=True)
    missing = k - min(k, len(keys))
    scores = torch.nn.functional.pad(scores[:, :k], (0, missing), value=-torch.inf)
    return scores, torch.nn.functional.pad(indices[:, :k], (0, missing)).masked_fill(scores == -torch.inf, -1)


def in_small_tiles(queries: Tensor, keys: Tensor, k: int, others: bool = False) -> tuple[Tensor, Tensor]:
    configuration = kernel.configuration
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "configuration", lambda dtype, k: configuration(dtype, k) | SMALL)
        patch.setattr(kernel, "PROGRAMS", 4)
        return kernel.cosine_top_k(queries, keys, k, others)


def assert_same(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.interpreter
@pytest.mark.parametrize(("m", "n", "width", "k"), [(7, 123, 16, 5), (20, 37, 507, 8), (1, 1, 3, 1), (33, 50, 24, 32)])
def test_indices_and_scores_are_those_of_sorting(m, n, width, k):
    queries, keys = grid(m, width, "queries"), grid(n, width, "keys")
    expected = by_sorting(queries, keys, k)
    assert_same(in_small_tiles(queries, keys, k), expected)
    if n > 37:
        assert (expected[0].diff(dim=1) == 0).any()  # there were ties


@pytest.mark.interpreter
@pytest.mark.parametrize(("n", "k"), [(40, 3), (17, 16), (5, 9), (1, 2)])
def test_a_query_is_no_neighbour_of_its_own(n, k):
    vectors = grid(n, 8)
    found = in_small_tiles(vectors, vectors, k, others=True)
    assert_same(found, by_sorting(vectors, vectors, k, others=True))
    assert not (found[1] == torch.arange(n)[:, None]).any()
    assert ((found[1] < 0).sum(1) == max(0, k - (n - 1))).all()


@pytest.mark.interpreter
def test_equal_vectors_are_listed_by_index_whatever_the_tiles():
    vectors = torch.ones(70, 4)
    scores, indices = in_small_tiles(vectors[:3], vectors, 6)
    assert indices.tolist() == [list(range(6))] * 3 and (scores == 4).all()
    rising = torch.arange(70.0)[:, None] / 64  # each key is better than all before it
    for keys in (rising, rising.flip(0)):
        assert_same(in_small_tiles(torch.ones(2, 1), keys, 10), by_sorting(torch.ones(2, 1), keys, 10))


@pytest.mark.interpreter
def test_a_nan_is_no_neighbour_and_hides_none():
    vectors = grid(40, 8)
    vectors[[0, 20, 39], 3] = torch.nan
    sound = vectors[~vectors.isnan().any(1)]
    places = torch.tensor([*range(1, 20), *range(21, 39)])
    for search in (in_small_tiles, neighbours._top_k_in_blocks):
        scores, indices = search(sound, vectors, 9, False)
        expected = by_sorting(sound, sound, 9)
        assert_same((scores, indices), (expected[0], places[expected[1]]))
        scores, indices = search(vectors[:1], vectors, 9, False)
        assert (indices == -1).all() and (scores == -torch.inf).all()


@pytest.mark.interpreter
def test_unit_vectors_at_the_size_of_tile_that_a_gpu_takes():
    vectors = torch.nn.functional.normalize(torch.randn(150, 20, generator=generator("unit")), dim=1)
    scores, indices = kernel.cosine_top_k(vectors, vectors, 4, True)
    expected = by_sorting(vectors.double(), vectors.double(), 4, others=True)
    torch.testing.assert_close(scores, expected[0], rtol=0, atol=1e-6)
    assert torch.equal(indices, expected[1])


@pytest.mark.interpreter
def test_strided_vectors_no_queries_and_registration():
    queries, keys = grid(8, 20), grid(8, 30)
    assert_same(in_small_tiles(queries.T, keys.T, 3), by_sorting(queries.T, keys.T, 3))
    assert [x.shape for x in in_small_tiles(queries[:0], queries, 3)] == [(0, 3), (0, 3)]
    assert_same(in_small_tiles(queries, queries[:0], 2), by_sorting(queries, queries[:0], 2))
    torch.library.opcheck(kernel.cosine_top_k, (queries, queries, 3, True))


@pytest.mark.interpreter
def test_pairing_searches_by_the_kernel_where_kernels_serve():
    vectors = grid(20, 8)
    called = []
    search = kernel.cosine_top_k
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "cosine_top_k", lambda *arguments: called.append(arguments[2]) or search(*arguments))
        assert_same(neighbours.top_k(vectors, vectors, 3, others=True), by_sorting(vectors, vectors, 3, others=True))
        neighbours.top_k(vectors, vectors, kernel.LARGEST + 1)
    assert called == [3]


@pytest.mark.parametrize("block", [1, 100, 1 << 24])
@pytest.mark.parametrize("keys", [torch.zeros(60, 8), torch.ones(60, 8), grid(60, 1).expand(60, 8)])
def test_of_many_that_tie_the_plain_form_lists_the_first(monkeypatch, keys, block):
    monkeypatch.setattr(neighbours, "BLOCK_SCORES", block)
    for k, others in ((4, False), (4, True), (60, True)):
        assert_same(neighbours.top_k(keys, keys, k, others), by_sorting(keys, keys, k, others))


@pytest.mark.parametrize("block", [1, 100, 1 << 24])
@pytest.mark.parametrize(("n", "k"), [(40, 3), (5, 9)])
def test_the_plain_form_is_faiss_and_sorting(monkeypatch, n, k, block):
    monkeypatch.setattr(neighbours, "BLOCK_SCORES", block)
    vectors = grid(n, 8)
    found = neighbours.top_k(vectors, vectors, k, others=True)
    assert_same(found, by_sorting(vectors, vectors, k, others=True))
    by_faiss = neighbours.nearest(vectors.numpy(), k)
    assert np.array_equal(found[1], by_faiss.indices) and np.array_equal(found[0], by_faiss.scores)
    elsewhere = neighbours._nearest_on("cpu", vectors.numpy(), k)
    assert np.array_equal(elsewhere.indices, by_faiss.indices)
