"""The forward kernel against log space, which is itself tested against sums over all paths; and what it compiles to."""

import itertools

import numpy as np
import pytest
import torch
from kernel_compile import ARCHITECTURES, compile_kernel

from synthetic_worlds import hmm_forward
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.kernels import HMM_STATES, hmm


def forward(models, tokens, every, block=None):
    parameters = models.initial, models.transition, models.emission_KVS
    return hmm.forward(*parameters, tokens, models.block if block is None else block, hmm_forward.SMALLEST_SHARE, every)


def check(models, tokens):
    prefixes = hmm_forward.log_predicted(models, tokens).logsumexp(-1)
    for every in (True, False):
        found, lossy = forward(models, tokens, every)
        torch.testing.assert_close(found, prefixes if every else prefixes[..., -1], rtol=0, atol=1e-12)
        assert not lossy.any()


@pytest.mark.interpreter
def test_equals_a_sum_over_paths():
    world = make_world("hmm", concepts=2, states=3, vocabulary=4, length=4)
    tokens = world.sample(3, torch.Generator().manual_seed(1)).tokens
    initial, transition, emission = (p.numpy() for p in (world.initial, world.transition, world.emission))
    expected = np.zeros((3, 2))
    for path in itertools.product(range(3), repeat=4):
        steps = initial[:, path[0]] * np.prod([transition[:, a, b] for a, b in itertools.pairwise(path)], 0)
        for row, document in enumerate(tokens.tolist()):
            expected[row] += steps * np.prod([emission[:, s, x] for s, x in zip(path, document, strict=True)], 0)
    found, _ = forward(world.models, tokens, every=False)
    np.testing.assert_allclose(found.numpy(), np.log(expected), rtol=0, atol=1e-12)


@pytest.mark.interpreter
@pytest.mark.parametrize(
    "concepts, states, vocabulary, length, documents",
    [(5, 3, 7, 1, 3), (5, 3, 7, 33, 70), (1, 1, 2, 9, 1), (2, 33, 5, 9, 2)],
)
def test_equals_log_space(concepts, states, vocabulary, length, documents):
    world = make_world("hmm", concepts=concepts, states=states, vocabulary=vocabulary, length=length)
    check(world.models, world.sample(documents, torch.Generator().manual_seed(1)).tokens)


@pytest.mark.interpreter
def test_impossible_documents_are_minus_infinity():
    double = {"dtype": torch.float64}
    models = hmm_forward.HiddenMarkovModels(
        torch.tensor([[1.0, 0.0], [0.6, 0.4]], **double),
        torch.tensor([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]], **double),
        torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.4, 0.6]], [[0.0, 1.0, 0.0], [0.0, 0.2, 0.8]]], **double),
    )
    tokens = torch.cartesian_prod(*[torch.arange(3)] * 3).repeat(1, 4)
    check(models, tokens)
    found, _ = forward(models, tokens, every=True)
    assert not found.isnan().any() and found.isneginf().any() and found[..., -1].isfinite().any()


@pytest.mark.interpreter
def test_documents_with_vanishing_shares_are_marked():
    """A state whose share falls below 1e-100 and is the only one left at the end: log space must do that document."""
    double = {"dtype": torch.float64}
    models = hmm_forward.HiddenMarkovModels(
        torch.tensor([[0.5, 0.5]], **double),
        torch.eye(2, **double)[None],
        torch.tensor([[[1 - 2e-10, 1e-10, 1e-10], [1e-10, 1 - 1e-10, 0.0]]], **double),
    )
    tokens = torch.tensor([[1] * 32 + [2], [1] * 32 + [1], [0, 1] * 16 + [0]])
    found, lossy = forward(models, tokens, every=False)
    _, expected = hmm_forward.scaled_log_likelihood(models, tokens)
    assert lossy.tolist() == expected.tolist() == [True, True, False]
    exact = hmm_forward.log_predicted(models, tokens)[:, :, -1].logsumexp(-1)
    torch.testing.assert_close(found[2], exact[2], rtol=0, atol=1e-12)
    assert forward(models, tokens, every=False, block=0)[1].all()


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("states", [3, 16, 32, HMM_STATES])
def test_compiles(states, every, arch, kernel_table):
    numbers = dict.fromkeys(("initial", "transition", "emission", "result"), "*fp64")
    sizes = dict.fromkeys(("B", "L", "V", "S", "K", "block"), "i32")
    options = {"SMALLEST_SHARE": hmm_forward.SMALLEST_SHARE, "EVERY": every, **hmm.configuration(states)}
    compiled = compile_kernel(
        hmm.forward_kernel, {**numbers, "tokens": "*i64", "lossy": "*u8", **sizes, **options}, arch
    )
    kernel_table(compiled)
    compiled.check("DMMA")
