"""SwiGLU against float64, by the relative rule."""

import pytest
import torch
from relative_rule import assert_as_good

from sbp_bayes.kernels import swiglu as kernel


def in_torch(gate, up):
    return torch.nn.functional.silu(gate) * up


def results(function, gate, up, upstream, dtype=None):
    inputs = [v.detach().to(dtype or v.dtype).requires_grad_() for v in (gate, up)]
    output = function(*inputs)
    output.backward(upstream.to(output.dtype))
    return [output.detach(), *(v.grad for v in inputs)]


@pytest.mark.interpreter
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(7, 507), (423, 123), (1,), (2, 3, 4)])
def test_result_and_gradients_are_as_good_as_torchs(shape, dtype):
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator).to(dtype) for _ in range(3)]
    found, torchs = results(kernel.swiglu, *inputs), results(in_torch, *inputs)
    for triple in zip(found, torchs, results(in_torch, *inputs, dtype=torch.float64), strict=True):
        assert_as_good(*triple)


@pytest.mark.interpreter
def test_large_gates_and_strides():
    gate = torch.tensor([[-1e4, -90.0, 0.0], [90.0, 1e4, 1.0]])
    up, upstream = torch.ones(2, 3), torch.full((3, 2), 2.0).T
    for gates in (gate, gate.T.contiguous().T):
        found, expected = results(kernel.swiglu, gates, up, upstream), results(in_torch, gate, up, upstream)
        for ours, reference in zip(found, expected, strict=True):
            assert ours.isfinite().all()
            torch.testing.assert_close(ours, reference)


@pytest.mark.interpreter
def test_op_is_registered_as_pytorch_expects():
    inputs = tuple(torch.randn(5, 12, generator=torch.Generator().manual_seed(i)).requires_grad_() for i in (0, 1))
    torch.library.opcheck(kernel.swiglu, inputs)
