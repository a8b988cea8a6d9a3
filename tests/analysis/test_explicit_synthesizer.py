"""The explicit synthesizer: exact where its parameters are the world's, learnt from pairs, the same for one seed."""

import itertools

import numpy as np
import pytest
import torch

from analysis.bayes_gap import bayes_gap
from analysis.explicit_model import ExplicitModel
from analysis.explicit_synthesizer import ExplicitSynthesizer, FitSettings, fit_explicit, settings_for
from analysis.synthesizers import document_log_probs, sample_token_by_token
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling, sample_pairs
from synthetic_worlds.pyro_spec import enumerated_log_evidence

TINY = {
    "bow": {"concepts": 3, "vocabulary": 6, "length": 8, "overlap": 0.3, "zipf": 0.5},
    "hmm": {"concepts": 3, "states": 2, "vocabulary": 4, "length": 10, "overlap": 0.2, "zipf": 0.5},
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=list(TINY))
def world(request):
    return make_world(request.param, seed=2, **TINY[request.param])


def pairs_of(world, n):
    """Documents (2n, L) and pairs (n, 2) of them, no document in two pairs."""
    drawn = sample_pairs(world, n, generator("test pairs"), PairSampling())
    return torch.cat([drawn.d1, drawn.d2]), np.arange(2 * n).reshape(2, n).T


def with_the_worlds_parameters(world, shared=False) -> ExplicitModel:
    settings = settings_for(world)
    model = ExplicitModel(settings.classes, settings.states, world.V, shared)
    if world.name == "hmm":
        values = world.initial, world.transition, world.emission
    else:
        values = torch.ones(world.C, 1), torch.ones(world.C, 1, 1), world.words[:, None]
    for part in model.parts:
        part.set_probabilities(*values)
    with torch.no_grad():
        model.log_frequencies.copy_(world.log_prior)
    return model


@pytest.mark.parametrize("shared", [False, True])
def test_with_the_worlds_parameters_it_is_exact_bayes(world, shared):
    synthesizer = ExplicitSynthesizer.of(with_the_worlds_parameters(world, shared), world.L)
    d1 = world.sample(50, generator("test d1")).tokens
    gap = bayes_gap(synthesizer, world, d1, generator=generator("test d2"))
    assert gap.per_document == pytest.approx(0, abs=1e-9) and gap.information > 0.1
    two = [world.sample(5, generator("test d", i)).tokens for i in range(3)]
    expected = exact.next_token_log_probs(world, two[0], *two[1:])
    torch.testing.assert_close(synthesizer.next_token_log_probs(two[0], *two[1:]), expected, rtol=0, atol=1e-9)


def test_the_elbo_is_the_conditional_likelihood_and_the_worlds_own_pyro_model_agrees(world):
    from pyro.infer import TraceEnum_ELBO

    model = with_the_worlds_parameters(world)
    d1, d2 = (world.sample(4, generator("test documents", i)).tokens for i in range(2))
    elbo = -TraceEnum_ELBO(max_plate_nesting=1).loss(model.pyro_model, lambda d1, d2: None, d1, d2)
    assert elbo == pytest.approx(float(exact.log_predictive(world, d2, d1).sum()), abs=1e-6)
    by_enumeration = enumerated_log_evidence(world, d1, d2) - enumerated_log_evidence(world, d1)
    assert elbo == pytest.approx(float(by_enumeration.sum()), abs=1e-5)


def test_gradients_reach_every_parameter(world):
    model = ExplicitModel(4, settings_for(world).states, world.V)
    model.init(generator("test model"), torch.full((world.V,), 1 / world.V, dtype=torch.float64))
    d1, d2 = (world.sample(9, generator("test documents", i)).tokens for i in range(2))
    model.log_predictive(d1, d2).sum().backward()
    flat = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    single = [name for name, p in model.named_parameters() if p.shape[-1] == 1]  # one state: nothing to learn
    assert flat == single


@pytest.mark.parametrize("shared", [False, True])
def test_it_learns_a_world_from_pairs(world, shared):
    documents, pairs = pairs_of(world, 1500)
    settings = settings_for(world, shared=shared, steps=500)
    fitted = fit_explicit(documents, pairs, world.V, settings, seed=0)
    d1 = world.sample(300, generator("test d1")).tokens
    gap = bayes_gap(fitted.synthesizer, world, d1, generator=generator("test d2"))
    assert gap.fraction < 0.25  # 1 is what ignoring d1 costs
    start = ExplicitModel(settings.classes, settings.states, world.V)
    start.init(generator("test model"), torch.full((world.V,), 1 / world.V, dtype=torch.float64))
    untrained = ExplicitSynthesizer.of(start, world.L)
    assert bayes_gap(untrained, world, d1, generator=generator("test d2")).fraction > 1


def test_one_seed_one_result_and_the_candidates_compete():
    world = make_world("bow", seed=2, **TINY["bow"])
    documents, pairs = pairs_of(world, 200)
    settings = settings_for(world, times=2, steps=60, heat=30, prior_words=(1.0, 30.0))
    first, again, other = (fit_explicit(documents, pairs, world.V, settings, seed) for seed in (0, 0, 1))
    assert first.synthesizer.world.C == 6
    assert torch.equal(first.synthesizer.world.words, again.synthesizer.world.words)
    assert not torch.equal(first.synthesizer.world.words, other.synthesizer.world.words)
    winner, nats = min(first.candidates, key=lambda candidate: candidate[1])
    assert len(first.candidates) == 2 and first.prior_words == winner
    assert first.heldout_nats <= nats and 30 <= first.steps <= 60 + 8
    shifted = fit_explicit(documents, pairs, world.V, settings, seed=0, split_seed=5)
    assert not torch.equal(first.synthesizer.world.words, shifted.synthesizer.world.words)


def test_it_is_a_synthesizer(world):
    """Its law over documents sums to one, sampling follows it, and so does sampling token by token."""
    model = ExplicitModel(3, settings_for(world).states, world.V)
    model.init(generator("test model"), torch.full((world.V,), 1 / world.V, dtype=torch.float64))
    synthesizer = ExplicitSynthesizer.of(model, 3)
    documents = torch.tensor(list(itertools.product(range(world.V), repeat=3)))
    d1 = torch.tensor([[0, 1, 2]])
    law = document_log_probs(synthesizer, documents, d1.expand(len(documents), -1)).exp()
    assert law.sum() == pytest.approx(1, abs=1e-12)
    n = 4000
    drawn = synthesizer.sample(generator("test draws"), d1.expand(n, -1))
    by_token = sample_token_by_token(synthesizer, 3, generator("test tokens"), d1.expand(n, -1))
    for tokens in (drawn, by_token):
        codes = (tokens * torch.tensor([world.V**2, world.V, 1])).sum(1)
        frequencies = torch.bincount(codes, minlength=len(documents)) / n
        assert ((frequencies - law).abs() <= 5 * (law * (1 - law) / n).sqrt() + 1e-12).all()


def test_wrong_settings_and_too_few_pairs_are_refused():
    with pytest.raises(UserError, match="classes: expected 1 or more, got 0"):
        FitSettings(classes=0)
    with pytest.raises(UserError, match="batch: expected 2 pairs or more, got 1"):
        FitSettings(classes=2, batch=1)
    with pytest.raises(UserError, match="prior_words: expected numbers from 0"):
        FitSettings(classes=2, prior_words=())
    with pytest.raises(UserError, match="too few"):
        fit_explicit(torch.zeros(2, 3, dtype=torch.int64), np.array([[0, 1]]), 2, FitSettings(classes=2), seed=0)
