"""P4, P5 and P16, on beliefs after reading synthetic documents: the identities by enumeration, then power."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.mixture_synthesizer import MixtureSynthesizer
from analysis.predictions import calibration, concept_keeping, martingale
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, decide
from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    LabelSwappedSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    TemperedSynthesizer,
)
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world

MEASURES = {"P4": martingale.measure, "P5": concept_keeping.measure, "P16": calibration.measure}


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=0)


@pytest.fixture(scope="module")
def enumerated():
    """A tiny world, every d2 of it, a d1, and p*(d2|d1)."""
    world = make_world("hmm", concepts=3, states=2, vocabulary=3, length=3, overlap=0.3, seed=4)
    documents = torch.tensor(list(itertools.product(range(3), repeat=3)))
    d1 = torch.tensor([[0, 2, 1]]).expand(27, -1)
    return world, documents, d1, exact.log_predictive(world, documents, d1).exp()


def test_the_identities_that_the_nulls_rest_on(enumerated):
    world, documents, d1, law = enumerated
    before = exact.concept_log_posterior(world, d1[:1]).exp()[0]
    after = exact.concept_log_posterior(world, d1, documents).exp()
    assert torch.allclose(law @ after, before, atol=1e-12)  # martingale
    low, high = calibration.rank_intervals(world.log_likelihood(d1), before.expand(27, -1))
    for moment, null in (
        (calibration.spread(low, high), 1.0),
        (calibration.centre(low, high), 0.5),
        (calibration.share_below(low, high, 0.9), 0.9),
    ):
        assert float(law @ (after * moment).sum(1)) == pytest.approx(null, abs=1e-12)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(0, 10**6), st.floats(0.05, 0.95))
@settings(deadline=None, max_examples=40)
def test_ranks_of_posterior_draws_are_uniform_whatever_the_ties(quantity, seed, level):
    posterior = torch.rand(1, len(quantity), dtype=torch.float64, generator=generator("ties", seed))
    posterior = posterior / posterior.sum()
    low, high = calibration.rank_intervals(torch.tensor([quantity]).double(), posterior)
    assert float((posterior * calibration.centre(low, high)).sum()) == pytest.approx(0.5)
    assert float((posterior * calibration.spread(low, high)).sum()) == pytest.approx(1)
    assert float((posterior * calibration.share_below(low, high, level)).sum()) == pytest.approx(level)


def test_randomised_ranks_are_uniform_where_draws_tie():
    n = 20_000
    posterior = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).expand(n, -1)
    quantity = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(n, -1)
    stream = generator("ranks")
    truth = torch.multinomial(posterior, 1, generator=stream)[:, 0]
    ranks = concept_keeping.randomised_ranks(quantity, truth, posterior, stream, draws=9)
    share = torch.bincount(ranks.long(), minlength=10) / n
    assert ((share - 0.1).abs() < 4.5 * (0.09 / n) ** 0.5).all()


def test_a_posterior_that_ignores_its_data_is_seen_by_likelihood_and_not_by_number(world):
    """Truth drawn with its data, belief := prior (Modrak et al. 2023)."""
    n = 4000
    documents = world.sample(n, generator("blind"))
    truth = torch.nn.functional.one_hot(documents.latents["concept"], world.C).double()
    prior = world.prior.expand(n, -1)
    number = torch.arange(world.C).double().expand(n, -1)
    seen = calibration.rank_intervals(world.log_likelihood(documents.tokens), prior)
    blind = calibration.rank_intervals(number, prior)
    assert float((truth * calibration.centre(*blind)).sum(1).mean()) == pytest.approx(0.5, abs=0.02)
    assert float((truth * calibration.centre(*seen)).sum(1).mean()) > 0.8


def test_the_rate_of_keeping_is_the_expectation_over_all_documents(enumerated):
    world, documents, d1, law = enumerated
    before = exact.concept_log_posterior(world, d1[:1]).exp()[0]
    rate = float(law @ (exact.concept_log_posterior(world, documents).exp() @ before))
    subject = known_subject(ExactSynthesizer(world), world, 4000, 0)
    one = type(subject)(subject.synthesizer, world, d1[:1].expand(20_000, -1), 0, subject.alone)
    found = concept_keeping.measure(one)[0]
    assert found.estimate == pytest.approx(rate, abs=4.5 * found.se)
    assert found.null == pytest.approx(rate, abs=4.5 * found.se)


@pytest.mark.parametrize("prediction", MEASURES)
def test_exact_bayes_is_never_refuted(world, outcomes, prediction):
    for seed in range(3):
        found = outcomes(MEASURES[prediction](known_subject(ExactSynthesizer(world), world, 2048, seed)))
        assert REFUTED not in found.values()


@pytest.mark.parametrize(
    "wrong, refuting",
    [
        (PriorSynthesizer, {"P4", "P5", "P16"}),
        (MapSynthesizer, {"P4", "P5", "P16"}),
        (LabelSwappedSynthesizer, {"P4", "P5", "P16"}),
        (lambda world: TemperedSynthesizer(ExactSynthesizer(world), 0.7), {"P4", "P5", "P16"}),
        (lambda world: CopyingSynthesizer(world, 0.3), {"P4", "P5", "P16"}),
    ],
)
def test_what_they_refute(world, outcomes, wrong, refuting):
    subject = known_subject(wrong(world), world, 4096, 0)
    assert {p for p, measure in MEASURES.items() if REFUTED in outcomes(measure(subject)).values()} == refuting


def test_in_a_hard_world_a_fifth_less_kept_is_no_equality():
    """Half exact Bayes, half the prior: .02 of probability, which is much of the .1 that there is to keep."""
    world = make_world("bow", preset="hard", seed=0)
    half = MixtureSynthesizer([ExactSynthesizer(world), PriorSynthesizer(world)], [0.5, 0.5], "half")
    kept = concept_keeping.measure(known_subject(half, world, 4096, 0))[0]
    assert abs(kept.estimate - kept.null) < 0.03 and abs(kept.effect) > 2
    assert kept.margin == pytest.approx(0.05 * kept.null)
    assert decide([kept])[0].outcome == REFUTED
