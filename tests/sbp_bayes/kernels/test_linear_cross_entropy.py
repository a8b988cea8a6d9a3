"""The weighted linear cross-entropy kernel against float64, by the relative rule."""

import pytest
import torch
from relative_rule import assert_as_good

from sbp_bayes import kernels
from sbp_bayes.kernels import linear_cross_entropy as kernel
from sbp_bayes.model import operations

SHAPES = [(7, 507, 24), (423, 123, 8), (1, 2, 4), (3, 5000, 4)]  # tokens, vocabulary, width


def case(n, vocabulary, width, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, width, generator=generator).to(dtype)
    head = torch.randn(vocabulary, width, generator=generator).to(dtype)
    targets = torch.randint(vocabulary, (n,), generator=generator)
    targets[0] = vocabulary - 1
    weights = torch.rand(n, generator=generator)
    weights[1::2] = 0
    return hidden, head, targets, weights


def in_torch(hidden, head, targets, weights):
    logits = hidden @ head.T
    logits = logits if logits.dtype == torch.float64 else logits.float()
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return (weights.to(losses.dtype) * losses).sum()


def results(function, hidden, head, targets, weights, dtype=None):
    """Loss and both gradients, with an upstream gradient that is not one."""
    hidden, head = (x.detach().to(dtype or x.dtype).requires_grad_() for x in (hidden, head))
    loss = function(hidden, head, targets, weights)
    (0.3 * loss).backward()
    return loss.detach(), hidden.grad, head.grad


@pytest.mark.interpreter
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradients_are_as_good_as_torchs(shape, dtype):
    inputs = case(*shape, dtype)
    gold = results(in_torch, *inputs, dtype=torch.float64)
    found, torchs = results(kernel.weighted_nats, *inputs), results(in_torch, *inputs)
    for triple in zip(found, torchs, gold, strict=True):
        assert_as_good(*triple)


@pytest.mark.interpreter
def test_chunks_add_up():
    inputs = case(23, 50, 6, torch.bfloat16)
    whole = results(kernel.weighted_nats, *inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "CHUNK_ELEMENTS", 150)
        parts = results(kernel.weighted_nats, *inputs)
    for part, all_at_once in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, all_at_once, rtol=1e-2, atol=1e-2)


@pytest.mark.interpreter
def test_rows_of_weight_zero_cannot_be_seen():
    hidden, head, targets, weights = case(9, 123, 8)
    clean = results(kernel.weighted_nats, hidden, head, targets, weights)
    hidden[1], hidden[3], hidden[5] = torch.nan, torch.inf, -torch.inf
    for found, expected in zip(results(kernel.weighted_nats, hidden, head, targets, weights), clean, strict=True):
        assert torch.equal(found, expected)
    nothing = results(kernel.weighted_nats, hidden, head, targets, torch.zeros(9))
    assert all(not part.any() for part in nothing)


@pytest.mark.interpreter
def test_gradient_of_one_input_and_of_none():
    hidden, head, targets, weights = case(9, 123, 8)
    loss, by_hidden, by_head = results(kernel.weighted_nats, hidden, head, targets, weights)
    alone = hidden.clone().requires_grad_()
    (0.3 * kernel.weighted_nats(alone, head, targets, weights)).backward()
    assert torch.equal(alone.grad, by_hidden)
    alone = head.clone().requires_grad_()
    (0.3 * kernel.weighted_nats(hidden, alone, targets, weights)).backward()
    assert torch.equal(alone.grad, by_head)
    assert torch.equal(kernel.weighted_nats(hidden, head, targets, weights), loss)


@pytest.mark.interpreter
def test_strided_inputs_and_impossible_tokens():
    hidden, head, targets, weights = case(9, 123, 8)
    expected = results(kernel.weighted_nats, hidden, head, targets, weights)
    hidden, head = hidden.T.contiguous().T, head.T.contiguous().T
    strided = hidden, head, targets.repeat(2, 1).T[:, 0], weights.repeat(2, 1).T[:, 0]
    for found, exact in zip(results(kernel.weighted_nats, *strided), expected, strict=True):
        torch.testing.assert_close(found, exact)
    logits = torch.tensor([[0.0, -torch.inf, 1.0]])  # a head can rule tokens out
    losses = kernel._row_losses(logits, torch.tensor([2]), torch.ones(1), gradient=True)
    torch.testing.assert_close(losses, -logits.new_tensor([[0.0, 1.0]]).log_softmax(1)[:, 1])
    assert logits.isfinite().all()


@pytest.mark.interpreter
@pytest.mark.parametrize("shape", SHAPES)
def test_nats_of_each_token(shape):
    hidden, head, targets, _ = case(*shape)
    with torch.no_grad():
        ours = operations.linear_cross_entropy(hidden, head, targets)
        torchs = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="none")
        gold = torch.nn.functional.cross_entropy(hidden.double() @ head.double().T, targets, reduction="none")
    assert_as_good(ours, torchs, gold)


@pytest.mark.interpreter
@pytest.mark.parametrize("op", ["weighted", "token"])
def test_op_is_registered_as_pytorch_expects(op):
    hidden, head, targets, weights = case(5, 12, 4)
    if op == "token":
        torch.library.opcheck(kernel.token_nats, (hidden, head, targets))
    else:
        inputs = (hidden.requires_grad_(), head.requires_grad_(), targets, weights, True, True)
        torch.library.opcheck(kernel._weighted_nats, inputs)


@pytest.mark.interpreter
def test_the_operation_calls_the_kernel_only_where_kernels_serve():
    inputs = case(5, 12, 4)
    assert kernels.serve("linear_cross_entropy", inputs[0])
    assert torch.equal(operations.weighted_cross_entropy(*inputs), kernel.weighted_nats(*inputs))
