"""The weighted linear cross-entropy kernel against float64, by the relative rule."""

import itertools

import pytest
import torch
from relative_rule import assert_as_good

from sbp_bayes import kernels
from sbp_bayes.errors import UserError
from sbp_bayes.kernels import linear_cross_entropy as kernel
from sbp_bayes.model import operations

SHAPES = [(7, 507, 24), (423, 123, 8), (1, 2, 4), (3, 5000, 4)]  # tokens, vocabulary, width
IGNORED = -100


def case(n, vocabulary, width, dtype=torch.float32, seed=0):
    """e, c, targets with the last token of the vocabulary and one ignored, bias, weights of which half are 0."""
    generator = torch.Generator().manual_seed(seed)
    e = torch.randn(n, width, generator=generator).to(dtype)
    c = torch.randn(vocabulary, width, generator=generator).to(dtype)
    targets = torch.randint(vocabulary, (n,), generator=generator)
    targets[0] = vocabulary - 1
    targets[2:3] = IGNORED
    weights = torch.rand(n, generator=generator)
    weights[1::2] = 0
    return e, c, targets, torch.randn(vocabulary, generator=generator).to(dtype), weights


def exact(e, c, targets, bias=None, softcap=None, reduction="mean", weights=None, z_loss=0.0):
    """The definition, in float64 and in other words than the operation's: sums of exponentials."""
    logits = e @ c.T + (0 if bias is None else bias)
    if softcap is not None:
        logits = softcap * (1 - 2 / (1 + (2 * logits / softcap).exp()))
    lse = logits.exp().sum(1).log()
    at_target = torch.stack([row[max(int(target), 0)] for row, target in zip(logits, targets, strict=True)])
    weights = (targets != IGNORED) * (torch.ones(len(e)) if weights is None else weights).double()
    losses = weights * (lse - at_target + z_loss * lse**2)
    return losses if reduction == "none" else losses.sum() / (weights.sum() if reduction == "mean" else 1)


def by_kernel(*inputs, **options):
    with kernels.forced("on"):
        return operations.linear_cross_entropy(*inputs, **options)


def in_torch(*inputs, **options):
    with kernels.forced("off"):
        return operations.linear_cross_entropy(*inputs, **options)


both = pytest.mark.parametrize("form", [by_kernel, in_torch])
reductions = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])


def results(function, e, c, targets, bias=None, weights=None, dtype=None, **options):
    """Loss and gradients by e, c and bias, with upstream gradients that are not one."""
    inputs = [None if x is None else x.detach().to(dtype or x.dtype).requires_grad_() for x in (e, c, bias)]
    loss = function(*inputs[:2], targets, bias=inputs[2], weights=weights, **options)
    upstream = torch.linspace(-0.3, 0.7, loss.numel(), dtype=loss.dtype).view(loss.shape)
    loss.backward(upstream if loss.dim() else torch.full_like(loss, 0.3))
    return loss.detach(), *(x.grad for x in inputs if x is not None)


def check(e, c, targets, bias=None, weights=None, **options):
    gold = results(exact, e, c, targets, bias, weights, dtype=torch.float64, **options)
    found, torchs = (results(function, e, c, targets, bias, weights, **options) for function in (by_kernel, in_torch))
    for triple in zip(found, torchs, gold, strict=True):
        assert_as_good(*triple)


@pytest.mark.interpreter
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradients_are_as_good_as_torchs(shape, dtype):
    e, c, targets, _, weights = case(*shape, dtype)
    check(e, c, targets, weights=weights, reduction="sum")


@pytest.mark.interpreter
@reductions
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_option(dtype, reduction):
    e, c, targets, bias, weights = case(11, 123, 8, dtype)
    for softcap, z_loss in itertools.product((None, 5.0), (0.0, 1e-2)):
        for with_bias, with_weights in ((False, False), (True, True)):
            check(
                *(e, c, targets, bias if with_bias else None, weights if with_weights else None),
                **{"reduction": reduction, "softcap": softcap, "z_loss": z_loss},
            )


@pytest.mark.interpreter
def test_soft_cap_of_tiny_and_huge_logits():
    scale = torch.tensor([1e-6, 1e-3, 0.1, 1.0, 30.0, 1e4])
    e = scale[:, None] * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    _, c, targets, _, _ = case(6, 17, 4)
    gold = results(exact, e, c, targets, dtype=torch.float64, softcap=3.0, reduction="sum")
    found = results(by_kernel, e, c, targets, softcap=3.0, reduction="sum")
    torch.testing.assert_close(found[0].double(), gold[0], rtol=1e-6, atol=0)
    assert all(part.isfinite().all() for part in found)


@pytest.mark.interpreter
@reductions
def test_chunks_add_up(reduction):
    e, c, targets, bias, weights = case(23, 50, 6, torch.bfloat16)
    whole = results(by_kernel, e, c, targets, bias, weights, reduction=reduction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "CHUNK_ELEMENTS", 150)
        parts = results(by_kernel, e, c, targets, bias, weights, reduction=reduction)
    for part, all_at_once in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, all_at_once, rtol=1e-2, atol=1e-2)


@pytest.mark.interpreter
@both
@reductions
def test_what_does_not_count_cannot_be_seen(form, reduction):
    """Whatever its hidden state, its target and, where the target is ignored, its weight."""
    e, c, targets, bias, weights = case(9, 123, 8)
    options = {"weights": weights, "reduction": reduction, "z_loss": 0.01, "softcap": 5.0}
    clean = results(form, e, c, targets, bias, **options)
    e[1], e[2], e[3], e[5] = torch.nan, torch.nan, torch.inf, -torch.inf
    targets[1], targets[3], targets[5] = -1, 123, -7
    weights[2] = torch.nan
    dirty = results(form, e, c, targets, bias, **options)
    for found, expected in zip(dirty, clean, strict=True):
        assert torch.equal(found, expected)
    for nothing in (
        results(form, e, c, targets, weights=torch.zeros(9), reduction=reduction),
        results(form, e, c, torch.full_like(targets, IGNORED), reduction=reduction),
    ):
        assert all(not part.any() for part in nothing)  # NaN would be "any"


@pytest.mark.interpreter
@both
@reductions
@pytest.mark.parametrize("wrong", [-1, 123, 10**6])
def test_a_target_that_counts_and_is_no_token_is_nan_in_loss_and_gradients(form, reduction, wrong):
    e, c, targets, _, weights = case(9, 123, 8)
    for given in (weights, None):
        expected = results(form, e, c, targets, weights=given, reduction=reduction)
        found = results(
            form, e, c, torch.where(torch.arange(9) == 4, wrong, targets), weights=given, reduction=reduction
        )
        assert found[1][4].isnan().all() and found[2].isnan().all()
        assert given is None or not found[1][given == 0].any()
        if reduction == "none":
            assert found[0].isnan().tolist() == [row == 4 for row in range(9)]
        else:
            assert found[0].isnan()
        if reduction != "mean":  # other tokens have their gradients
            others = torch.arange(9) != 4
            assert torch.equal(found[1][others], expected[1][others])


@both
@pytest.mark.interpreter
@pytest.mark.parametrize("softcap", [0.0, -2.0, torch.nan, torch.inf])
def test_a_soft_cap_that_is_not_positive_is_refused(form, softcap):
    e, c, targets, _, _ = case(5, 12, 4)
    with pytest.raises(UserError, match="softcap: expected a positive number, or None for no cap, got"):
        form(e, c, targets, softcap=softcap)


@pytest.mark.interpreter
@reductions
def test_autocast_of_float32_inputs_is_as_good_as_torchs(reduction):
    e, c, targets, bias, weights = case(11, 123, 8)
    gold = results(exact, e, c, targets, bias, weights, dtype=torch.float64, reduction=reduction)
    with torch.autocast("cpu", torch.bfloat16):
        found, torchs = (
            results(form, e, c, targets, bias, weights, reduction=reduction) for form in (by_kernel, in_torch)
        )
    for triple in zip(found, torchs, gold, strict=True):
        assert_as_good(*triple)
    assert not torch.equal(found[1], results(by_kernel, e, c, targets, bias, weights, reduction=reduction)[1])


@pytest.mark.interpreter
@reductions
def test_gradient_of_one_input_and_of_none(reduction):
    e, c, targets, bias, weights = case(9, 123, 8)
    options = {"weights": weights, "reduction": reduction}
    loss, *gradients = results(by_kernel, e, c, targets, bias, **options)
    for place, expected in enumerate(gradients):
        inputs = [e, c, bias]
        inputs[place] = inputs[place].clone().requires_grad_()
        alone = by_kernel(inputs[0], inputs[1], targets, bias=inputs[2], **options)
        upstream = torch.linspace(-0.3, 0.7, alone.numel()).view(alone.shape) if alone.dim() else torch.tensor(0.3)
        alone.backward(upstream)
        assert torch.equal(inputs[place].grad, expected)
    assert torch.equal(by_kernel(e, c, targets, bias=bias, **options), loss)


@pytest.mark.interpreter
def test_log_sum_exp_comes_with_the_loss():
    e, c, targets, bias, weights = case(9, 123, 8)
    for reduction in ("none", "sum"):
        options = {"weights": weights, "reduction": reduction, "return_lse": True}
        _, lse = by_kernel(e.clone().requires_grad_(), c, targets, bias, **options)
        kept = (weights != 0) & (targets != IGNORED)
        gold = (e.double() @ c.double().T + bias).logsumexp(1) * kept
        assert_as_good(lse, in_torch(e, c, targets, bias, **options)[1], gold)
        assert not lse.requires_grad and kept.any() and not kept.all()


@pytest.mark.interpreter
def test_strided_inputs_and_impossible_tokens():
    e, c, targets, _, weights = case(9, 123, 8)
    expected = results(by_kernel, e, c, targets, weights=weights)
    strided = e.T.contiguous().T, c.T.contiguous().T, targets.repeat(2, 1).T[:, 0]
    for found, exactly in zip(
        results(by_kernel, *strided, weights=weights.repeat(2, 1).T[:, 0]), expected, strict=True
    ):
        torch.testing.assert_close(found, exactly)
    logits = torch.tensor([[0.0, -torch.inf, 1.0]])  # a head can rule tokens out
    losses, _ = kernel._row_losses(logits, torch.tensor([2]), torch.ones(1), 0.0, 0.0, gradient=True)
    torch.testing.assert_close(losses, -logits.new_tensor([[0.0, 1.0]]).log_softmax(1)[:, 1])
    assert logits.isfinite().all()


@pytest.mark.interpreter
def test_a_target_out_of_range_reads_nothing_beyond_the_row():
    losses, _ = kernel._row_losses(torch.zeros(2, 3), torch.tensor([3, 1]), torch.ones(2), 0.0, 0.0, gradient=False)
    assert losses.isnan().tolist() == [True, False]


@pytest.mark.interpreter
@pytest.mark.parametrize("op", ["sum", "each"])
def test_op_is_registered_as_pytorch_expects(op):
    e, c, targets, bias, weights = case(5, 12, 4)
    inputs = (e.requires_grad_(), c.requires_grad_(), targets.abs() % 12, bias.requires_grad_(), weights, 5.0, 1e-2)
    torch.library.opcheck(kernel._sum, (*inputs, True, True, True)) if op == "sum" else torch.library.opcheck(
        kernel._each, inputs
    )


@pytest.mark.interpreter
def test_the_operation_calls_the_kernel_where_kernels_serve():
    e, c, targets, _, weights = case(5, 12, 4)
    ours = operations.linear_cross_entropy(e, c, targets, weights=weights)
    assert torch.equal(
        ours, kernel.linear_cross_entropy(e, c, *operations.targets_and_weights(targets, weights, IGNORED, 12, e.dtype))
    )


def test_an_unknown_reduction_is_named():
    e, c, targets, _, _ = case(5, 12, 4)
    with pytest.raises(UserError, match="reduction: expected one of none, mean, sum, got 'median'"):
        operations.linear_cross_entropy(e, c, targets, reduction="median")
