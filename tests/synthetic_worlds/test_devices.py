"""Worlds on a GPU: the same figures as on the CPU, by the kernels; and which worlds go there."""

import pytest
import torch

from synthetic_worlds import exact, kernels
from synthetic_worlds.catalogue import WORLDS, make_world
from synthetic_worlds.dials import WorldError

ON_GPU = [name for name, world in WORLDS.items() if "cuda" in world.devices]
CLOSE = {"rtol": 0, "atol": 1e-11}


@pytest.mark.parametrize("name", WORLDS)
def test_moving_leaves_the_law(name):
    world = make_world(name, seed=2)
    assert world.to("cpu").spec_hash == world.spec_hash
    for found, expected in zip(world.to("cpu").parameters().values(), world.parameters().values(), strict=True):
        assert torch.equal(found, expected)


def test_a_world_says_where_it_works():
    with pytest.raises(WorldError, match="world tree: device cuda:0; it works on cpu"):
        make_world("tree").to("cuda:0")


def test_no_kernel_runs_on_the_cpu():
    assert not kernels.serve(torch.zeros(1, 1, dtype=torch.int64), 1, 64)


@pytest.mark.parametrize("name", ["bow", "hmm", "style"])
def test_prefixes_have_the_evidence_of_cut_documents(name):
    world = make_world(name, seed=2, length=6, vocabulary=5)
    d1, d2 = (world.sample(4, torch.Generator().manual_seed(seed)).tokens for seed in (0, 1))
    found = exact.prefix_log_probs(world, d2, d1)
    for t in range(world.L):
        torch.testing.assert_close(found[:, t], exact.log_predictive(world, d2[:, : t + 1], d1), **CLOSE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ON_GPU)
@pytest.mark.parametrize("dials", [{"concepts": 5, "vocabulary": 7, "length": 33}, {"concepts": 64, "length": 1}])
def test_gpu_agrees_with_cpu(name, dials):
    world = make_world(name, seed=2, **dials)
    moved = world.to("cuda")
    d1, d2 = (world.sample(300, torch.Generator().manual_seed(seed)).tokens for seed in (0, 1))
    d2[0] = torch.arange(world.L) % world.V
    for function in (exact.log_predictive, exact.prefix_log_probs, exact.next_token_log_probs):
        found = function(moved, d2.cuda(), d1.cuda())
        torch.testing.assert_close(found.cpu(), function(world, d2, d1), **CLOSE)
    found = exact.concept_log_posterior(moved, d1.cuda(), d2.cuda())
    torch.testing.assert_close(found.cpu(), exact.concept_log_posterior(world, d1, d2), **CLOSE)
    assert exact.sample_related(moved, torch.Generator("cuda").manual_seed(0), d1.cuda()).shape == d1.shape
