"""Residual addition with RMSNorm against float64, by the relative rule."""

from functools import partial

import pytest
import torch
from relative_rule import assert_as_good

from sbp_bayes.kernels import rms_norm as kernel
from sbp_bayes.model import operations

EPS = 1e-6


def case(n, width, dtype=torch.float32, seed=0):
    """x, residual, gain, and gradients that come from above for the normed rows and for the sum."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((n, width), (n, width), (width,), (n, width), (n, width))
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def in_torch(x, residual, weight, eps):
    total = x + residual
    return torch.nn.functional.rms_norm(total, weight.shape, weight, eps), total


def results(function, x, residual, weight, by_normed, by_total, dtype=None):
    """Both results and the gradients by x, residual and weight."""
    inputs = [v.detach().to(dtype or v.dtype).requires_grad_() for v in (x, residual, weight)]
    outputs = function(*inputs, EPS)
    torch.autograd.backward(outputs, [by_normed.to(outputs[0].dtype), by_total.to(outputs[0].dtype)])
    return [*(output.detach() for output in outputs), *(v.grad for v in inputs)]


@pytest.mark.interpreter
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(7, 507), (423, 24), (1, 1), (5, 1025)])
def test_results_and_gradients_are_as_good_as_torchs(shape, dtype):
    inputs = case(*shape, dtype)
    found, torchs = results(kernel.add_rms_norm, *inputs), results(in_torch, *inputs)
    for triple in zip(found, torchs, results(in_torch, *inputs, dtype=torch.float64), strict=True):
        assert_as_good(*triple)


@pytest.mark.interpreter
def test_more_rows_than_programs_take_at_once():
    inputs = case(50, 600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "PROGRAMS", 3)
        found = results(kernel.add_rms_norm, *inputs)
    for triple in zip(found, results(in_torch, *inputs), results(in_torch, *inputs, dtype=torch.float64), strict=True):
        assert_as_good(*triple)


@pytest.mark.interpreter
def test_without_a_residual_it_is_the_plain_norm():
    x, _, weight, by_normed, _ = case(9, 24)
    pairs = []
    for function in (kernel.rms_norm, operations.rms_norm, lambda x, w, eps: in_torch(x, 0 * x.detach(), w, eps)[0]):
        inputs = [v.clone().requires_grad_() for v in (x, weight)]
        normed = function(*inputs, EPS)
        normed.backward(by_normed)
        pairs.append([normed.detach(), *(v.grad for v in inputs)])
    for ours, through_the_model, expected in zip(*pairs, strict=True):
        assert torch.equal(ours, through_the_model)
        torch.testing.assert_close(ours, expected)


@pytest.mark.interpreter
def test_strides_dimensions_and_either_result_alone():
    x, residual, weight, by_normed, by_total = case(24, 10)
    expected = results(in_torch, x, residual, weight, by_normed, by_total)
    folded = [v.view(2, 12, 10) for v in (x, residual, by_normed, by_total)]
    strided = [v.transpose(0, 1).contiguous().transpose(0, 1) for v in folded]
    found = results(kernel.add_rms_norm, strided[0], strided[1], weight, strided[2], strided[3])
    for ours, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.reshape(reference.shape), reference)
    for which, upstream in enumerate((by_normed, by_total)):
        gradients = []
        for function in (kernel.add_rms_norm, in_torch):
            inputs = [v.clone().requires_grad_() for v in (x, residual, weight)]
            function(*inputs, EPS)[which].backward(upstream)
            gradients.append([v.grad for v in inputs])
        for ours, reference in zip(*gradients, strict=True):
            assert (ours is None) == (reference is None)
            if ours is not None:
                torch.testing.assert_close(ours, reference)


@pytest.mark.interpreter
def test_a_half_addend_leaves_the_residual_stream_in_single_precision():
    """As under autocast: matrix products in bfloat16, what they are added to in float32."""

    def rounding(add, x, *rest):
        return add(x.bfloat16(), *rest)

    x, residual, weight, by_normed, by_total = case(7, 24)
    found, expected = (
        results(partial(rounding, add), x, residual, weight, by_normed, by_total)
        for add in (operations.add_rms_norm, in_torch)
    )
    assert found[0].dtype == found[1].dtype == torch.float32
    assert torch.equal(found[1], expected[1])
    for ours, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, reference)


@pytest.mark.interpreter
@pytest.mark.parametrize("with_residual", [False, True])
def test_op_is_registered_as_pytorch_expects(with_residual):
    x, residual, weight, _, _ = (v.requires_grad_() for v in case(5, 12))
    torch.library.opcheck(kernel._forward, (x, residual if with_residual else None, weight, EPS))
