import math

import pytest
import torch

from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions import near_duplicates
from analysis.predictions.near_duplicates import copy_probability
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import CONTROL, REFUTED, SUPPORTED, decide
from analysis.synthesizers import CopyingSynthesizer, ExactSynthesizer, TemperedSynthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling

COPIES = PairSampling(near_duplicate=0.05)


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=2)


def outcomes(subject) -> dict[str, str]:
    return {d.finding.quantity: d.outcome for d in decide(near_duplicates.measure(subject))}


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_law_of_pairs_with_copies_has_what_theory_says(world, rate):
    pairs = PairSampling(near_duplicate=rate)
    subject = known_subject(PairLawSynthesizer(world, pairs), world, 128, 0, pairs)
    found = {f.quantity: f for f in near_duplicates.measure(subject)}
    assert found["copies"].estimate == pytest.approx(rate, rel=1e-3)
    assert all(f.estimate == pytest.approx(f.null, abs=1e-9) for f in found.values())
    assert found["copies at temperature 0.7"].null > rate
    nats = -world.words[world.sample_concepts(64, generator("c"))].log().mul(world.words[0]).sum(1).mean()
    theory = math.log((1 - rate) / rate) / float(nats)
    assert found["take-over"].null == pytest.approx(theory, abs=1.0)
    assert set(outcomes(subject).values()) == {SUPPORTED}


def test_a_network_that_never_copies_is_refuted(world):
    found = outcomes(known_subject(ExactSynthesizer(world), world, 128, 0, COPIES))
    assert set(found.values()) == {REFUTED}


def test_copies_without_cause_are_refuted_though_the_bayes_gap_hardly_moves(world):
    found = outcomes(known_subject(CopyingSynthesizer(world, 0.05), world, 128, 0))
    assert found["copies"] == REFUTED and found["weight of the copy"] == REFUTED
    # Where there were none to learn, writing none supports nothing.
    assert set(outcomes(known_subject(ExactSynthesizer(world), world, 128, 0)).values()) == {CONTROL}


def test_edited_copies_count_as_far_as_they_are_exact(world):
    pairs = PairSampling(near_duplicate=0.2, edit_rate=0.1)
    subject = known_subject(PairLawSynthesizer(world, pairs), world, 64, 0, pairs)
    copies = near_duplicates.measure(subject)[0]
    assert copies.estimate == pytest.approx(0.2 * 0.9**16, rel=0.01)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_probability_of_a_copy_is_how_often_the_sampler_writes_one(temperature):
    world = make_world("bow", vocabulary=3, length=3, concepts=2, seed=3)
    law = PairLawSynthesizer(world, PairSampling(near_duplicate=0.3))
    d1 = torch.tensor([[0, 2, 1]]).expand(4000, -1)
    chance = float(copy_probability(law.next_token_log_probs(d1[:1], d1[:1]), d1[:1], temperature))
    drawn = TemperedSynthesizer(law, temperature).sample(generator("copies", temperature == 1), d1)
    share = float((drawn == d1).all(1).double().mean())
    assert share == pytest.approx(chance, abs=4 * math.sqrt(chance / 4000))
