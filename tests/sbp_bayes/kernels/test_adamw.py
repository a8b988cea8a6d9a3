"""The AdamW kernel is its definition, bit for bit; the definition is AdamW in the mean."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from sbp_bayes.kernels import adamw as kernel
from sbp_bayes.training.adamw_bf16 import AdamWBf16, adamw
from sbp_bayes.training.stochastic_rounding import TILE, noises, philox, round_stochastically

SIZES = [1, 16, 507, TILE // 2, TILE, TILE + 16, 2 * TILE + 3, 0]
GPU_NAN = float(torch.tensor(0x7FFFFFFF, dtype=torch.int32).view(torch.float32))  # the NaN that GPUs make: all ones
SETTINGS = dict(rate=0.01, beta1=0.9, beta2=0.95, eps=1e-8, decay=0.1, step=7, seed=2**62 + 12345)


def case(parameter=torch.bfloat16, gradient=torch.bfloat16, sizes=SIZES, seed=0) -> list[list[Tensor]]:
    """Parameters, gradients and both moments as in the middle of a training."""
    random = torch.Generator().manual_seed(seed)
    kinds = (parameter, gradient, torch.bfloat16, torch.bfloat16)
    tensors = [[torch.randn(size, generator=random).to(kind) for size in sizes] for kind in kinds]
    tensors[3] = [square.abs() for square in tensors[3]]
    return tensors


def step(function, tensors: list[list[Tensor]], **changes) -> list[list[Tensor]]:
    """A step on copies."""
    copies = [[tensor.clone() for tensor in some] for some in tensors]
    function(*copies, list(range(3, 3 + len(copies[0]))), *{**SETTINGS, **changes}.values())
    return copies


def definition(*arguments) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sbp_bayes.kernels.serve", lambda op, x: False)
        adamw(*arguments)


def both(found: list[list[Tensor]], expected: list[list[Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    for some, others in zip(found, expected, strict=True):
        yield from zip(some, others, strict=True)


def assert_equal(found: list[list[Tensor]], expected: list[list[Tensor]]) -> None:
    """bfloat16 to the bit; float32 parameters but for the last of it."""
    for ours, theirs in both(found, expected):
        exact = theirs.dtype == torch.bfloat16
        torch.testing.assert_close(ours, theirs, rtol=0 if exact else 1e-6, atol=0 if exact else 1e-7)


@pytest.mark.interpreter
@pytest.mark.parametrize("kinds", [(torch.bfloat16,) * 2, (torch.float32,) * 2, (torch.float32, torch.bfloat16)])
def test_the_kernel_is_the_definition_on_many_tensors_at_once(kinds):
    tensors = case(*kinds)
    found = step(kernel.adamw, tensors)
    assert_equal(found, step(definition, tensors))
    assert_equal(found[1:2], tensors[1:2])
    assert_equal(step(adamw, tensors), found)  # the dispatch
    assert_equal(step(kernel.adamw, tensors), found)  # again the same bits
    other = step(kernel.adamw, tensors, seed=1)
    assert not any(torch.equal(*pair) for pair in zip(other[2][2:-1], found[2][2:-1], strict=True))


@pytest.mark.interpreter
@pytest.mark.parametrize("number", [2**31 - 1, 2**31, 2**32 - 1, 2**32 + 5, 2**33])
def test_steps_of_more_than_32_bits_round_alike(number):
    tensors = case(sizes=[507])
    assert_equal(step(kernel.adamw, tensors, step=number), step(definition, tensors, step=number))


@pytest.mark.interpreter
def test_shards_that_begin_anywhere_and_gradients_in_any_order():
    whole = case(sizes=[100])
    odd = [[tensor[3:52] for tensor in some] for some in whole]
    expected = step(definition, odd)
    kernel.adamw(*odd, [3], *SETTINGS.values())
    assert_equal(odd, expected)
    parameters, gradients, means, squares = ([tensor.view(10, 10) for tensor in some] for some in case(sizes=[100]))
    strided = [gradients[0].T.contiguous().T]
    assert_equal(
        step(kernel.adamw, [parameters, strided, means, squares])[:1],
        step(kernel.adamw, [parameters, gradients, means, squares])[:1],
    )


@pytest.mark.interpreter
def test_infinities_and_nan_stay_what_they_are():
    tensors = case(gradient=torch.float32, sizes=[8])
    for place, value in enumerate((torch.inf, -torch.inf, torch.nan)):
        tensors[0][0][place] = value
        tensors[1][0][place + 3] = value
    tensors[1][0][6] = GPU_NAN
    found, expected = step(kernel.adamw, tensors), step(definition, tensors)
    for ours, theirs in both(found, expected):
        assert torch.equal(ours.isnan(), theirs.isnan()) and torch.equal(ours.isinf(), theirs.isinf())
    assert found[0][0][[2, 5, 6]].isnan().all() and found[0][0][7].isfinite()


@pytest.mark.interpreter
def test_op_is_registered_as_pytorch_expects():
    torch.library.opcheck(kernel.adamw, (*case(sizes=[5, 16]), [0, 1], *SETTINGS.values()))


@pytest.mark.parametrize(
    ("counter", "key", "rounds", "expected"),
    [  # known answers that come with the authors' Random123
        ((0, 0, 0, 0), 0, 7, "5f6fb709 0d893f64 4f121f81 4f730a48"),
        ((0, 0, 0, 0), 0, 10, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((2**32 - 1,) * 4, 2**64 - 1, 10, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ],
)
def test_philox_gives_the_published_numbers(counter, key, rounds, expected):
    words = philox((torch.tensor([counter[0]]), *counter[1:]), key, rounds)
    assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_noises_are_uniform_and_none_is_used_twice():
    drawn = torch.stack(noises(torch.empty(3 * TILE), 1, 1, 0)).double()
    n = drawn[0].numel()
    assert drawn.min() >= 0 and drawn.max() < 2**16 and drawn.max() > 2**16 - 100
    centred = drawn / 2**16 - (1 - 2**-16) / 2
    assert (centred.mean(1).abs() < 5 * (1 / 12 / n) ** 0.5).all()
    halves = centred.view(3, -1, TILE // 2)  # those that share a counter, and neighbours
    for a, b in ((centred[0], centred[1]), (centred[1], centred[2]), (halves[:, 0::2], halves[:, 1::2])):
        assert (a * b).mean().abs() < 5 / 12 / a.numel() ** 0.5
    others = [noises(torch.empty(TILE), *path) for path in ((1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1), (1, 1, 2**40))]
    assert len({tuple(three[0][:8].tolist()) for three in others}) == len(others)


def test_rounding_keeps_the_mean_and_takes_a_neighbour():
    noise = torch.arange(2**16, dtype=torch.int32)
    for value in (1.001, -3.14159, 1e-30, 2.0 - 2**-10):
        x = torch.full((2**16,), value)
        rounded = round_stochastically(x, noise).double()
        assert rounded.mean() == pytest.approx(float(x[0]), rel=1e-9)
        assert len(rounded.unique()) == 2
    exact = torch.tensor([1.5, -0.0, 0.0, torch.inf, -torch.inf, torch.nan, GPU_NAN])
    kept = round_stochastically(exact, torch.full((7,), 2**16 - 1, dtype=torch.int32))
    assert torch.equal(kept[:5], exact[:5].bfloat16()) and kept[5:].isnan().all()
    assert kept.signbit()[1]


def trained(optimiser, parameter: Tensor, gradients: list[Tensor]) -> Tensor:
    for gradient in gradients:
        parameter.grad = gradient.to(parameter.dtype)
        optimiser.step()
    return parameter.detach()


def test_updates_too_small_for_bfloat16_arrive_in_the_mean():
    """A step of 1e-4 on weights near 1, where bfloat16's neighbours are 2^-8 apart; float64 AdamW is the truth."""
    random = torch.Generator().manual_seed(0)
    n, start = 20_000, torch.tensor([1.0, -0.75, 1.5])
    gradients = [torch.randn(3, generator=random).bfloat16() for _ in range(20)]
    options = dict(lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    exact = start.double().requires_grad_()
    gold = trained(torch.optim.AdamW([exact], **options), exact, gradients)
    copies = start.bfloat16().repeat(n, 1).requires_grad_()
    optimiser = AdamWBf16([copies], seed=1, **options)
    found = trained(optimiser, copies, [gradient.repeat(n, 1) for gradient in gradients]).double()
    assert found.unique(dim=0).shape[0] > 3
    # Each moment is unbiased; the step is not linear in them, which a hundredth of its length allows for.
    allowed = 5 * found.std(0) / n**0.5 + 0.01 * (gold - start).abs()
    assert ((found.mean(0) - gold).abs() < allowed).all()
    assert ((gold - start).abs() > 3 * allowed).sum() >= 2


def test_a_long_run_goes_where_adamw_goes():
    """A quadratic bowl from far away: both end within the same small distance of its bottom."""
    target = torch.linspace(-2, 2, 300)
    ends = []
    for make, kind in ((torch.optim.AdamW, torch.float64), (AdamWBf16, torch.bfloat16), (AdamWBf16, torch.float32)):
        parameter = torch.zeros(300, dtype=kind, requires_grad=True)
        optimiser = make([parameter], lr=0.02, betas=(0.9, 0.95), weight_decay=0.0)
        for _ in range(150):
            parameter.grad = (parameter.detach() - target).to(kind)
            optimiser.step()
        ends.append(float((parameter.detach() - target).square().mean().sqrt()))
    assert ends[0] < 0.02 and max(ends) < 0.03


def model_and_optimiser(kind=torch.bfloat16, seed=5):
    random = torch.Generator().manual_seed(0)
    weights = [torch.randn(size, generator=random).to(kind).requires_grad_() for size in ((7, 9), (33,), (4,))]
    groups = [{"params": weights[:1], "weight_decay": 0.1}, {"params": weights[1:], "weight_decay": 0.0}]
    return weights, AdamWBf16(groups, lr=0.01, seed=seed)


def run(weights, optimiser, steps) -> None:
    for number in steps:
        random = torch.Generator().manual_seed(number)
        for weight in weights[:2] if number == 1 else weights:  # a parameter without a gradient waits
            weight.grad = torch.randn(weight.shape, generator=random).to(weight.dtype)
        optimiser.step()
        optimiser.zero_grad()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_a_resumed_run_has_the_same_bits(kind, tmp_path):
    weights, optimiser = model_and_optimiser(kind)
    run(weights, optimiser, range(6))
    stopped, first = model_and_optimiser(kind)
    run(stopped, first, range(3))
    torch.save({"weights": stopped, "optimiser": first.state_dict()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed, second = model_and_optimiser(kind, seed=99)
    for weight, saved in zip(resumed, state["weights"], strict=True):
        weight.data.copy_(saved)
    second.load_state_dict(state["optimiser"])
    run(resumed, second, range(3, 6))
    for ours, expected in zip(resumed, weights, strict=True):
        assert torch.equal(ours, expected)
        assert all(second.state[ours][name].dtype == torch.bfloat16 for name in ("exp_avg", "exp_avg_sq"))
    assert not torch.equal(stopped[0], weights[0])
    assert int(optimiser.state[weights[2]]["step"]) == 5


def test_equal_parameters_round_apart():
    weights = [torch.ones(500, dtype=torch.bfloat16).requires_grad_() for _ in range(2)]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    AdamWBf16([{"params": weights[:1]}, {"params": weights[1:]}], lr=0.001).step()
    assert not torch.equal(*weights)


def test_a_rate_of_zero_changes_nothing():
    """As where PyTorch makes an optimiser's states before it loads them."""
    weights, optimiser = model_and_optimiser()
    before = [weight.detach().clone() for weight in weights]
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    run(weights, optimiser, [0])
    assert all(torch.equal(*pair) for pair in zip(weights, before, strict=True))
