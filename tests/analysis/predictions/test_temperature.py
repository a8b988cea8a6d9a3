"""P15: temperature 1 preserves the prior, and a sampler that is untrue to its law is found out."""

import itertools

import pytest
import torch

from analysis.predictions.subject import known_subject
from analysis.predictions.temperature import measure, own_surprise, prior_divergence
from analysis.predictions.verdict import REFUTED
from analysis.synthesizers import (
    ExactSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    TemperedSynthesizer,
    sample_token_by_token,
)
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=0)


class SampledAt:
    """The exact law, sampled at a temperature that the law does not say."""

    name = "sampled otherwise"

    def __init__(self, world, temperature):
        self.law, self.sampler = ExactSynthesizer(world), TemperedSynthesizer(ExactSynthesizer(world), temperature)

    def next_token_log_probs(self, d2, *given):
        return self.law.next_token_log_probs(d2, *given)

    def sample(self, stream, *given):
        return sample_token_by_token(self.sampler, given[0].shape[1], stream, *given)


def refuted(outcomes, synthesizer, world, n=2048):
    found = outcomes(measure(known_subject(synthesizer, world, n, 0)))
    return {quantity for quantity, outcome in found.items() if outcome == REFUTED}


def test_exact_bayes_and_the_prior_preserve_it(world, outcomes):
    assert refuted(outcomes, ExactSynthesizer(world), world) == set()
    assert "prior bent" not in refuted(outcomes, PriorSynthesizer(world), world)


def test_what_it_refutes(world, outcomes):
    exact_one = ExactSynthesizer(world)
    assert refuted(outcomes, TemperedSynthesizer(exact_one, 0.7), world) >= {"surprise"}
    assert refuted(outcomes, TemperedSynthesizer(exact_one, 1.3), world) >= {"surprise"}
    assert refuted(outcomes, MapSynthesizer(world), world) == set()  # certain, but of the right concepts on the whole


@pytest.mark.parametrize("temperature", [0.8, 1.2])
def test_a_sampler_untrue_to_its_law_is_found_out(world, outcomes, temperature):
    assert "sampler against law" in refuted(outcomes, SampledAt(world, temperature), world, 1024)


def test_own_surprise_is_zero_in_expectation_over_all_documents():
    world = make_world("hmm", concepts=3, states=2, vocabulary=3, length=3, overlap=0.3, seed=4)
    documents = torch.tensor(list(itertools.product(range(3), repeat=3)))
    d1 = torch.tensor([[0, 2, 1]]).expand(27, -1)
    tempered = TemperedSynthesizer(ExactSynthesizer(world), 0.5)
    log_q = tempered.next_token_log_probs(documents, d1).gather(2, documents[..., None])[..., 0].sum(1)
    assert float(log_q.exp() @ own_surprise(tempered, d1, documents)) == pytest.approx(0, abs=1e-12)
    assert abs(float(log_q.exp() @ own_surprise(ExactSynthesizer(world), d1, documents))) > 0.1


@pytest.mark.parametrize("bend, caution", [(0.0, 1.25), (0.5, 1.0)])
def test_the_divergence_is_unbiased_and_knows_its_error(bend, caution):
    """Implied beliefs drawn from Dirichlets of a known mean; many small sets, as the bias shows only there."""
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    mean = prior * torch.tensor([1 + bend, 1 - bend, 1 - bend]).double()
    mean = mean / mean.sum()
    truth = float(((mean - prior).square() / (2 * prior)).sum())
    stream = generator("divergence")
    picks = torch.multinomial(mean.expand(3000, -1), 25, True, generator=stream)
    found = [prior_divergence(torch.nn.functional.one_hot(rows, 3).double(), prior) for rows in picks]
    estimates, errors = torch.tensor(found, dtype=torch.float64).T
    assert float(estimates.mean()) == pytest.approx(truth, abs=4.5 * float(estimates.std()) / 3000**0.5)
    assert float(errors.square().mean().sqrt() / estimates.std()) == pytest.approx(caution, abs=0.1)
