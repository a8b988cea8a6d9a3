"""The closed forms of W9's gain law: against simulation, against one another, and their shape."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ideal.arms import PAIRS, SELF_GENERATION, Setting, learn_arms
from analysis.ideal.factors import Factors
from analysis.ideal.gaussian_law import (
    MANY_DIMENSIONS_ARMS,
    SMALL_ERROR_ARMS,
    ambiguity,
    best_share,
    many_dimensions_excess,
    small_error_excess,
)
from analysis.ideal.learner import ideal_learner
from analysis.measures import EXACT, RANDOM_PAIRS, REPETITION, SBP
from synthetic_worlds import exact
from synthetic_worlds.gaussian import LinearGaussian

torch.set_num_threads(1)
signals = st.lists(st.floats(0.05, 30.0), min_size=1, max_size=3).map(lambda s: torch.tensor(s).double())
sample_counts = st.sampled_from([1, 4, 100, math.inf])


def world_of(signal: list[float], width: int) -> LinearGaussian:
    noise, loading = torch.full((width,), 0.5).double(), torch.zeros(width, len(signal)).double()
    loading.diagonal().copy_((0.5 * torch.tensor(signal).double()).sqrt())
    return LinearGaussian(loading, noise)


def divergences(world: LinearGaussian, model: Factors) -> torch.Tensor:
    """(R,) KL in nats a document from the world's law to the model's."""
    identity = torch.eye(world.D).double()
    true = identity + world.loading @ world.loading.T / world.noise
    found = identity + model.axes * model.signal[:, None] @ model.axes.transpose(1, 2)
    ratio = torch.linalg.solve(found, true.expand_as(found))
    return 0.5 * (ratio.diagonal(dim1=1, dim2=2).sum(1) - world.D - torch.logdet(ratio))


@pytest.mark.parametrize("share", [None, 0.4])
def test_many_documents_against_simulation(share):
    signal, world = [1.0, 3.0], world_of([1.0, 3.0], 4)
    setting = Setting(1000, samples=2, share=share)
    models = learn_arms([world] * 200, ideal_learner([world]), setting, SMALL_ERROR_ARMS)
    for arm, model in models.items():
        found = divergences(world, model)
        law = small_error_excess(arm, torch.tensor(signal).double(), 4, 1000, setting.synthetic_share, 2)
        error = float(found.std()) / math.sqrt(200)
        assert abs(float(found.mean()) - law) < 4 * error + 0.02 * law, arm
        assert 4 * error < 0.2 * law


@pytest.mark.parametrize("signal", [0.2, 0.8, 3.0])
def test_many_dimensions_against_simulation(signal):
    """At 60 dimensions and 240 documents the limit is off by some per cent."""
    world = world_of([signal], 60)
    setting = Setting(240, samples=12, share=1.0)
    models = learn_arms([world] * 24, ideal_learner([world]), setting, MANY_DIMENSIONS_ARMS)
    for arm, model in models.items():
        found = divergences(world, model)
        law = float(many_dimensions_excess(arm, torch.tensor(signal).double(), 0.25))
        assert abs(float(found.mean()) - law) < 4 * float(found.std()) / math.sqrt(24) + 0.1 * law, arm


@given(signal=signals, extra=st.integers(0, 8))
@settings(deadline=None, max_examples=25)
def test_what_must_hold_of_the_law(signal, extra):
    width = len(signal) + extra
    cost = {arm: small_error_excess(arm, signal, width, 500) for arm in SMALL_ERROR_ARMS}
    assert cost[EXACT] < cost[REPETITION] and cost[PAIRS] <= cost[SBP] <= cost[REPETITION]
    assert cost[SELF_GENERATION] == pytest.approx(cost[REPETITION])  # endless documents of its own lose nothing
    for arm in (SBP, SELF_GENERATION, EXACT):
        assert small_error_excess(arm, signal, width, 500, share=0.0, samples=3) == pytest.approx(cost[REPETITION])
        assert small_error_excess(arm, signal, width, 500, samples=3) > cost[arm]


@given(signal=signals, extra=st.integers(0, 8), samples=sample_counts)
@settings(deadline=None, max_examples=25)
def test_no_share_is_better_than_the_best(signal, extra, samples):
    width = len(signal) + extra

    def cost(share: float) -> float:
        return small_error_excess(SBP, signal, width, 500, share, samples)

    best = best_share(signal, width, samples)
    assert 0 < best <= 1
    assert all(cost(best) <= cost(share / 20) * (1 + 1e-12) for share in range(21))


@given(signal=signals, bias=st.floats(1e-6, 1e-2))
@settings(deadline=None, max_examples=15)
def test_with_a_biased_synthesizer_the_best_share_falls_with_more_documents(signal, bias):
    """The paper's Figure 6; without bias it does not depend on N."""
    width = len(signal) + 2
    shares = [best_share(signal, width, 4, bias, documents) for documents in (100, 10_000, 1_000_000)]
    assert shares[0] >= shares[1] >= shares[2] and shares[0] > shares[2]
    assert best_share(signal, width, 4, 0.0, 100) == best_share(signal, width, 4, 0.0, 1_000_000)

    def cost(share: float) -> float:
        return small_error_excess(SBP, signal, width, 10_000, share, 4) + bias * share**2

    assert all(cost(shares[1]) <= cost(share / 20) * (1 + 1e-12) for share in range(21))


@pytest.mark.parametrize("arm", [REPETITION, PAIRS, SBP])
@pytest.mark.parametrize("signal", [0.3, 2.0, 20.0])
def test_the_two_limits_agree_between_them(arm, signal):
    """Many dimensions of still more documents: rotations of the axis are all that costs, D of them."""
    ratio, documents = 1e-6, 10**9
    law = small_error_excess(arm, torch.tensor([signal]).double(), 1000, documents)
    assert float(many_dimensions_excess(arm, torch.tensor(signal).double(), ratio)) / ratio == pytest.approx(
        law * documents / 1000, rel=0.01
    )


def test_the_gain_rises_and_falls_with_ambiguity():
    """Less what random pairs or no pairs at all would give: 0 where nothing and where everything is told."""
    signal = torch.logspace(-3, 4, 200, dtype=torch.float64)
    cost = {arm: many_dimensions_excess(arm, signal, 0.25) for arm in MANY_DIMENSIONS_ARMS}
    told = torch.minimum(cost[RANDOM_PAIRS], cost[REPETITION]) - cost[SBP]
    unclear = ambiguity(signal)
    assert (unclear[1:] < unclear[:-1]).all() and unclear[0] > 0.99 and unclear[-1] < 0.1
    peak = int(told.argmax())
    assert 0.2 < float(unclear[peak]) < 0.9 and float(told[peak]) > 0.03
    assert abs(float(told[0])) < 1e-3 * float(told[peak]) and float(told[-1]) < 1e-2 * float(told[peak])
    assert (told[1 : peak + 1] >= told[:peak] - 1e-9).all() and (told[peak + 1 :] <= told[peak:-1] + 1e-9).all()
    nothing = {arm: float(many_dimensions_excess(arm, torch.zeros(()).double(), 0.25)) for arm in MANY_DIMENSIONS_ARMS}
    assert nothing[SBP] == nothing[RANDOM_PAIRS] < nothing[REPETITION]  # shrinkage, not information


def test_ambiguity_is_that_of_the_world():
    from sbp_bayes.seeds import generator

    figures = exact.information(world_of([2.0], 3), 20_000, generator("information"))
    assert float(ambiguity(torch.tensor(2.0).double())) == pytest.approx(figures.ambiguity, abs=0.03)
