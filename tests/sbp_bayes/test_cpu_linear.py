"""The fast linear map of CPUs against float64, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from sbp_bayes.model import cpu_linear, operations
from sbp_bayes.seeds import generator

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 35, 123), (64, 3, 17, 96, 40), (5, 128, 507)])
def test_it_is_within_rounding_of_float64_as_the_ordinary_one_is(shape):
    *rows, inputs, outputs = shape
    noise = generator("cpu linear", *shape)
    x, weight = torch.randn(*rows, inputs, generator=noise), torch.randn(outputs, inputs, generator=noise)
    gradient = torch.randn(*rows, outputs, generator=noise)

    def run(linear, dtype):
        leaves = [t.to(dtype).requires_grad_() for t in (x, weight)]
        out = linear(*leaves)
        return [out, *torch.autograd.grad(out, leaves, gradient.to(dtype))]

    gold = run(F.linear, torch.float64)
    for ours, theirs, exact in zip(
        run(cpu_linear.linear, torch.float32), run(F.linear, torch.float32), gold, strict=True
    ):
        assert ours.shape == exact.shape
        allowed = 2 * (theirs - exact).abs().max() + 1e-6 * exact.abs().max()
        assert (ours - exact).abs().max() <= allowed


def test_a_gradient_of_one_input_and_of_strided_ones():
    noise = generator("cpu linear strides")
    x, weight = torch.randn(40, 6, generator=noise).T, torch.randn(40, 9, generator=noise).T
    for wanted in (x, weight):
        wanted.requires_grad_()
        (ours,) = torch.autograd.grad(cpu_linear.linear(x, weight).square().sum(), wanted)
        (theirs,) = torch.autograd.grad(F.linear(x, weight).square().sum(), wanted)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        wanted.requires_grad_(False)


def test_it_serves_only_large_products_of_plain_float32(monkeypatch):
    monkeypatch.setattr(cpu_linear, "GAINS", True)
    x, weight = torch.ones(128, 128), torch.ones(64, 128)
    assert cpu_linear.wins(x, weight) and not cpu_linear.wins(x[:127], weight)
    assert not cpu_linear.wins(x.double(), weight.double()) and not cpu_linear.wins(x.to("meta"), weight.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not cpu_linear.wins(x, weight)
    assert operations.linear(x, torch.nn.Parameter(weight)).grad_fn.name() == "_LinearBackward"
    monkeypatch.setattr(cpu_linear, "GAINS", False)
    assert not cpu_linear.wins(x, weight)


# Dynamo makes an instance of a Function while it traces one, and is warned of it by torch 2.13 itself.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_it_compiles_without_a_break(monkeypatch):
    monkeypatch.setattr(cpu_linear, "GAINS", True)
    x, weight = torch.randn(128, 128), torch.randn(64, 128, requires_grad=True)
    compiled = torch.compile(lambda x, weight: operations.linear(x, weight).sum(), fullgraph=True, backend="aot_eager")
    compiled(x, weight).backward()
    torch.testing.assert_close(weight.grad, x.sum(0).expand_as(weight), rtol=1e-4, atol=1e-4)
