"""The kernel of W1 against sums in float64 NumPy, and what it compiles to."""

import numpy as np
import pytest
import torch
from kernel_compile import ARCHITECTURES, compile_kernel

from synthetic_worlds.catalogue import make_world
from synthetic_worlds.kernels import MIXTURE_CONCEPTS, mixture


def by_hand(words_CV, belief, tokens):
    """Posterior (B, C) and log p(x_<=t) (B, L) as sums of products of exact probabilities."""
    with np.errstate(divide="ignore"):
        logs = np.log(words_CV.numpy())[:, tokens.numpy()].cumsum(-1).transpose(1, 0, 2) + belief.numpy()[..., None]
        top = logs.max(1, keepdims=True)
        top[top == -np.inf] = 0.0
        prefixes = (top + np.log(np.exp(logs - top).sum(1, keepdims=True)))[:, 0]
    total = np.where(prefixes[:, -1:] == -np.inf, 0.0, prefixes[:, -1:])
    return torch.from_numpy(logs[..., -1] - total), torch.from_numpy(prefixes)


def check(words_CV, belief, tokens):
    log_words_VC = words_CV.T.log().contiguous()
    posterior, prefixes = by_hand(words_CV, belief, tokens)
    for every in (True, False):
        found, evidence = mixture.update(log_words_VC, belief, tokens, every)
        torch.testing.assert_close(found, posterior, rtol=0, atol=1e-12)
        torch.testing.assert_close(evidence, prefixes if every else prefixes[:, -1], rtol=0, atol=1e-12)


@pytest.mark.interpreter
@pytest.mark.parametrize("concepts, vocabulary, length, documents", [(5, 7, 1, 3), (5, 7, 33, 70), (1, 2, 4, 1)])
def test_equals_sums_over_concepts(concepts, vocabulary, length, documents):
    world = make_world("bow", concepts=concepts, vocabulary=vocabulary, length=length, zipf=1.0)
    tokens = world.sample(documents, torch.Generator().manual_seed(1)).tokens
    check(world.words, world.prior_belief(documents), tokens)


@pytest.mark.interpreter
def test_belief_and_documents_of_any_strides():
    world = make_world("bow", concepts=300, vocabulary=7, length=5, overlap=0.2)
    tokens = world.sample(5, torch.Generator().manual_seed(1)).tokens
    belief = torch.randn(300, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64).log_softmax(0).T
    check(world.words, belief, tokens.T.contiguous().T)


@pytest.mark.interpreter
def test_documents_that_no_concept_has_are_minus_infinity():
    words = torch.tensor([[0.3, 0.7, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    tokens = torch.tensor([[0, 1, 1], [1, 1, 2], [0, 0, 0], [2, 2, 2]])
    belief = torch.tensor([0.0, 0.4, 0.6], dtype=torch.float64).log().expand(4, -1)
    check(words, belief, tokens)
    posterior, evidence = mixture.update(words.T.log().contiguous(), belief, tokens)
    assert not posterior.isnan().any() and not evidence.isnan().any()
    assert evidence.isneginf().tolist() == [True, True, False, True]


@pytest.mark.interpreter
def test_what_is_out_of_range_of_doubles_is_kept_in_logs():
    """Two concepts of which the first falls 2000 nats behind and then is the only one left."""
    words = torch.tensor([[1e-10, 1 - 2e-10, 1e-10], [1 - 1e-10, 1e-10, 0.0]], dtype=torch.float64)
    tokens = torch.tensor([[0] * 100 + [2]])
    check(words, torch.tensor([[0.5, 0.5]], dtype=torch.float64).log(), tokens)
    assert mixture.update(words.T.log().contiguous(), torch.zeros(1, 2).double(), tokens)[1].isfinite().all()


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("concepts", [2, 64, MIXTURE_CONCEPTS])
def test_compiles(concepts, every, arch, kernel_table):
    numbers = dict.fromkeys(("log_words", "belief", "posterior", "prefixes"), "*fp64")
    sizes = dict.fromkeys(("B", "L", "C", "belief_row", "belief_column"), "i32")
    options = mixture.configuration(concepts)
    compiled = compile_kernel(
        mixture.update_kernel, {**numbers, "tokens": "*i64", **sizes, "EVERY": every, **options}, arch
    )
    kernel_table(compiled)
    compiled.check()
