"""The forms of RMSNorm and of the loss that train on a CPU, against float64 and the plain forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from sbp_bayes.model import cpu_cross_entropy, cpu_norm, operations
from sbp_bayes.seeds import generator


def within_rounding(ours, theirs, gold):
    """No further from float64 than twice the plain form in float32, and rounding of the largest number (one gradient is
    summed row by row where PyTorch sums in pairs).
    """
    for mine, plain, exact in zip(ours, theirs, gold, strict=True):
        assert mine.shape == exact.shape
        assert (mine - exact).abs().max() <= 2 * (plain - exact).abs().max() + 1e-6 * exact.abs().max()


@pytest.mark.parametrize("shape", [(1, 2), (7, 3, 40), (423, 64), (2, 5, 3, 123)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_rms_norm_is_within_rounding_of_float64(shape, scale):
    noise = generator("cpu norm", *shape)
    x, gain, upstream = (torch.randn(s, generator=noise) for s in (shape, shape[-1:], shape))
    x = x * scale + 0.5 * scale  # a mean, which LayerNorm would take out

    def run(form, dtype):
        leaves = [t.to(dtype).requires_grad_() for t in (x, gain)]
        out = form(*leaves)
        return [out, *torch.autograd.grad(out, leaves, upstream.to(dtype))]

    def plain(x, gain):
        return F.rms_norm(x, gain.shape, gain, 1e-6)

    ours = run(lambda x, gain: cpu_norm.rms_norm(x, gain, 1e-6), torch.float32)
    within_rounding(ours, run(plain, torch.float32), run(plain, torch.float64))


@pytest.mark.parametrize(("n", "width", "vocabulary"), [(1, 2, 3), (7, 16, 507), (423, 24, 123), (300, 32, 5000)])
@pytest.mark.parametrize("counted", ["all", "half", "last", "none"])
def test_weighted_nats_are_within_rounding_of_float64(n, width, vocabulary, counted):
    noise = generator("cpu cross-entropy", n, width, vocabulary)
    hidden, head = torch.randn(n, width, generator=noise), torch.randn(vocabulary, width, generator=noise)
    targets = torch.randint(vocabulary, (n,), generator=noise)
    targets[-1] = vocabulary - 1
    kept = {"all": slice(None), "half": slice(n // 2, None), "last": slice(n - 1, None), "none": slice(n, None)}[
        counted
    ]
    weights = torch.zeros(n)
    weights[kept] = torch.rand(n, generator=noise)[kept] + 0.1

    def run(form, dtype):
        leaves = [t.to(dtype).requires_grad_() for t in (hidden, head)]
        out = form(*leaves, targets, weights.to(dtype))
        return [out, *torch.autograd.grad(3 * out, leaves)]

    def plain(hidden, head, targets, weights):
        return (weights * F.cross_entropy(hidden @ head.T, targets, reduction="none")).sum()

    ours = run(cpu_cross_entropy.weighted_nats, torch.float32)
    within_rounding(ours, run(plain, torch.float32), run(plain, torch.float64))
    if counted == "none":
        assert all((t == 0).all() for t in ours)


def test_nothing_leaks_from_rows_of_weight_zero_and_ignored_targets_have_none():
    noise = generator("cpu cross-entropy leaks")
    hidden, head = torch.randn(6, 8, generator=noise), torch.randn(11, 8, generator=noise)
    targets, weights = torch.arange(6), torch.ones(6)
    clean = hidden[2:].clone().requires_grad_()
    expected = operations.linear_cross_entropy(clean, head, targets[2:], weights=weights[2:], reduction="sum")
    hidden[0], hidden[1] = math.nan, math.inf
    weights[0], weights[1], targets[0], targets[1] = 0.0, math.nan, -1, -100
    hidden.requires_grad_()
    loss = operations.linear_cross_entropy(hidden, head, targets, weights=weights, reduction="sum")
    loss.backward()
    expected.backward()
    assert loss == expected and torch.equal(hidden.grad[2:], clean.grad) and (hidden.grad[:2] == 0).all()


def test_a_target_that_counts_and_is_no_token_is_nan_in_loss_and_gradients():
    noise = generator("cpu cross-entropy targets")
    hidden, head = (torch.randn(n, 8, generator=noise).requires_grad_() for n in (4, 11))
    targets, weights = torch.tensor([0, 11, -1, 3]), torch.ones(4)
    loss = operations.linear_cross_entropy(hidden, head, targets, weights=weights, reduction="sum")
    assert loss.grad_fn.name() == "_WeightedNatsBackward"
    loss.backward()
    assert loss.isnan() and head.grad.isnan().all()
    assert hidden.grad.isnan().any(1).tolist() == [False, True, True, False]


def test_the_model_takes_these_forms_in_training_and_gets_the_plain_gradients(make_model, monkeypatch):
    model = make_model(tied=True)
    tokens = torch.randint(0, model.config.vocabulary_size, (4, 9), generator=generator("cpu forms"))
    weights = torch.rand(4, 9, generator=generator("cpu weights")).round()

    def gradients() -> list[torch.Tensor]:
        return list(
            torch.autograd.grad(model.weighted_nats(tokens, tokens.roll(-1, 1), weights), list(model.parameters()))
        )

    assert model.norm(torch.ones(3, model.config.width)).grad_fn.name() == "_RmsNormBackward"
    assert model.weighted_nats(tokens, tokens, weights).grad_fn.name() == "_WeightedNatsBackward"
    ours = gradients()
    monkeypatch.setattr(cpu_norm, "serves", lambda *_: False)
    monkeypatch.setattr(cpu_cross_entropy, "serves", lambda *_: False)
    for mine, plain in zip(ours, gradients(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-5)
