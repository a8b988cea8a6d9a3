"""Optimisers: what decays, what Muon takes, and that a checkpoint holds all of it."""

import pytest
import torch

from sbp_bayes.seeds import generator
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.optimiser import make_optimiser


def config(**changes) -> TrainingConfig:
    return TrainingConfig(**{**dict(steps=4, context=8, batch_tokens=16, learning_rate=1e-2), **changes})


def step(model, optimiser, number: int) -> None:
    tokens = torch.randint(0, model.config.vocabulary_size, (16, 8), generator=generator("optimiser test", number))
    model.token_losses(tokens, tokens.roll(-1, 1)).mean().backward()
    optimiser.step()
    optimiser.zero_grad()


@pytest.mark.parametrize("name", ["adamw", "muon", "adamw-bf16"])
def test_matrices_decay_and_gains_do_not(make_model, name):
    model = make_model(tied=False)
    groups = make_optimiser(model, config(optimiser=name, weight_decay=0.3)).param_groups
    assert all(w.dim() == 2 for group in groups[:-1] for w in group["params"])
    assert all(w.dim() == 1 for w in groups[-1]["params"])
    assert [group["weight_decay"] for group in groups] == [0.3] * (len(groups) - 1) + [0.0]
    assert sum(w.numel() for group in groups for w in group["params"]) == model.parameters_count


def test_muon_takes_the_matrices_of_the_blocks_and_moves_them_as_far_as_adamw(make_model):
    model = make_model(tied=False)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimiser = make_optimiser(model, config(optimiser="muon", weight_decay=0.0))
    step(model, optimiser, 0)
    hidden = {id(weight) for weight in optimiser.param_groups[0]["params"]}
    for name, weight in model.named_parameters():
        assert (id(weight) in hidden) == (weight.dim() == 2 and name.startswith("layers."))
        moved = (weight.detach() - before[name]).square().mean().sqrt().item()
        if id(weight) in hidden:
            # A fifth of the rate by the scaling rule; Newton-Schulz leaves singular values between 0.7 and 1.2.
            assert 0.6 < moved / (0.2 * 1e-2) < 1.3, name
        elif name != "embed_tokens.weight":
            assert moved == pytest.approx(1e-2, rel=0.01), name


@pytest.mark.parametrize("name", ["adamw", "muon", "adamw-bf16"])
def test_a_state_dict_goes_on_bit_for_bit(make_model, name):
    settings = config(optimiser=name)
    straight, first = make_model(), make_model()
    whole, half = make_optimiser(straight, settings), make_optimiser(first, settings)
    for number in range(4):
        step(straight, whole, number)
    for number in range(2):
        step(first, half, number)
    second = make_model(seed=1)
    second.load_state_dict(first.state_dict())
    resumed = make_optimiser(second, settings)
    resumed.load_state_dict(half.state_dict())
    for number in range(2, 4):
        step(second, resumed, number)
    for name, weight in straight.named_parameters():
        assert torch.equal(weight, second.get_parameter(name)), name


def test_the_rate_of_the_groups_is_the_rate_of_the_step(make_model):
    model = make_model(tied=False)
    before = [weight.detach().clone() for weight in model.parameters()]
    optimiser = make_optimiser(model, config(optimiser="muon"))
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    step(model, optimiser, 0)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
