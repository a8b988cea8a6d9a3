"""RMSNorm and RoPE of heads against float64, by the relative rule."""

import pytest
import torch
from relative_rule import assert_as_good

from sbp_bayes import kernels
from sbp_bayes.kernels import qk_norm_rope as kernel
from sbp_bayes.model import operations

EPS = 1e-6


def case(rows, length, heads, head_dim, dtype=torch.float32, own_places=False):
    """x (B, T, H, d), gain, angles of every row's own places or of 0..T-1, and a gradient from above (B, H, T, d)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, length, heads, head_dim, generator=generator).to(dtype)
    gain = 1 + 0.3 * torch.randn(head_dim, generator=generator).to(dtype)
    places = torch.randint(1000, (rows, length), generator=generator) if own_places else torch.arange(length)[None]
    cos, sin = (angle[:, None] for angle in operations.rotary_angles(places, head_dim, 1e4))
    return x, gain, cos.to(dtype), sin.to(dtype), torch.randn(rows, heads, length, head_dim, generator=generator)


def exact(x, gain, cos, sin, eps):
    """Each pair of numbers is a complex number and turns by its angle."""
    normed = x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * gain
    half = x.shape[-1] // 2
    turned = torch.complex(normed[..., :half], normed[..., half:]).transpose(1, 2)
    turned = turned * torch.complex(cos[..., :half], sin[..., :half])
    return torch.cat((turned.real, turned.imag), -1)


def of_heads(function):
    """One of the pair that an operation returns for (query, key)."""
    return lambda x, gain, cos, sin, eps: function(x, x[:, :, :1], gain, gain, cos, sin, eps)[0]


def in_torch(*inputs):
    with kernels.forced("off"):
        return of_heads(operations.qk_norm_rope)(*inputs)


def results(function, x, gain, cos, sin, upstream, dtype=None):
    inputs = [v.detach().to(dtype or v.dtype).requires_grad_() for v in (x, gain)]
    output = function(*inputs, *(angle.to(inputs[0].dtype) for angle in (cos, sin)), EPS)
    output.backward(upstream.to(output.dtype))
    return [output.detach(), *(v.grad for v in inputs)]


def check(*inputs):
    gold = results(exact, *inputs, dtype=torch.float64)
    found, torchs = results(of_heads(kernel.qk_norm_rope), *inputs), results(in_torch, *inputs)
    for triple in zip(found, torchs, gold, strict=True):
        assert_as_good(*triple)


@pytest.mark.interpreter
@pytest.mark.parametrize("own_places", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 7, 3, 64), (1, 61, 5, 6), (3, 1, 1, 2), (2, 3, 1, 130)])
def test_results_and_gradients_are_as_good_as_torchs(shape, dtype, own_places):
    check(*case(*shape, dtype, own_places))


@pytest.mark.interpreter
def test_more_heads_than_programs_take_at_once():
    inputs = case(2, 31, 3, 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "PROGRAMS", 2)
        check(*inputs)


@pytest.mark.interpreter
def test_queries_and_keys_of_the_operation():
    query, query_gain, cos, sin, _ = case(2, 7, 4, 6, own_places=True)
    key, key_gain = query[:, :, 1:3] + 1, query_gain - 2
    for ours, (x, gain) in zip(
        operations.qk_norm_rope(query, key, query_gain, key_gain, cos, sin, EPS),
        ((query, query_gain), (key, key_gain)),
        strict=True,
    ):
        torch.testing.assert_close(ours, exact(x, gain, cos, sin, EPS))
        assert torch.equal(ours, kernel.norm_rope(x, gain, cos, sin, EPS).transpose(1, 2))


@pytest.mark.interpreter
def test_strides_and_the_gradient_of_one_input():
    x, gain, cos, sin, upstream = case(2, 7, 3, 6)
    expected = results(of_heads(kernel.qk_norm_rope), x, gain, cos, sin, upstream)
    strided = x.transpose(0, 3).contiguous().transpose(0, 3)
    again = results(of_heads(kernel.qk_norm_rope), strided, gain, cos, sin, upstream.mT.contiguous().mT)
    for found, exactly in zip(again, expected, strict=True):
        assert torch.equal(found, exactly)
    for place, gradient in ((0, expected[1]), (1, expected[2])):
        inputs = [x.clone(), gain.clone()]
        inputs[place].requires_grad_()
        of_heads(kernel.qk_norm_rope)(*inputs, cos, sin, EPS).backward(upstream)
        assert torch.equal(inputs[place].grad, gradient)
    assert kernel.norm_rope(x[:0], gain, cos, sin, EPS).shape == (0, 7, 3, 6)


@pytest.mark.interpreter
def test_op_is_registered_as_pytorch_expects():
    x, gain, cos, sin, _ = case(2, 3, 2, 6)
    torch.library.opcheck(kernel.norm_rope, (x.requires_grad_(), gain.requires_grad_(), cos, sin, EPS))
