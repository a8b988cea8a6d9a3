"""P1: exact Bayes has no gap; each wrong synthesizer has its own, and the way to the plug-in is the weight of it."""

import math

import pytest
import torch

from analysis.predictions.closeness import measure, towards
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, SUPPORTED
from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    TemperedSynthesizer,
)
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=0)


def test_exact_bayes_is_at_the_null_exactly(world):
    findings = measure(known_subject(ExactSynthesizer(world), world, 200, 0))
    assert [(f.quantity, f.estimate) for f in findings] == [
        ("gap", pytest.approx(0, abs=1e-12)),
        ("share of information", pytest.approx(0, abs=1e-12)),
        ("way to plug-in", pytest.approx(0, abs=1e-12)),
    ]


@pytest.mark.parametrize(
    "wrong, refuted",
    [
        (PriorSynthesizer, {"gap", "share of information"}),
        (MapSynthesizer, {"gap", "share of information", "way to plug-in"}),
        (lambda world: TemperedSynthesizer(ExactSynthesizer(world), 0.7), {"gap", "share of information"}),
        (lambda world: CopyingSynthesizer(world, 0.05), set()),
    ],
)
def test_what_it_refutes(world, outcomes, wrong, refuted):
    found = outcomes(measure(known_subject(wrong(world), world, 1024, 0)))
    assert {quantity for quantity, outcome in found.items() if outcome == REFUTED} == refuted
    assert all(outcome == SUPPORTED for quantity, outcome in found.items() if quantity not in refuted)


class TokenMixture:
    """(1 - s) exact Bayes + s plug-in at each token."""

    name = "mixture"

    def __init__(self, world, share):
        self.parts, self.share = (ExactSynthesizer(world), MapSynthesizer(world)), share

    def next_token_log_probs(self, d2, *given):
        p, m = (part.next_token_log_probs(d2, *given).exp() for part in self.parts)
        return ((1 - self.share) * p + self.share * m).log()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_way_to_the_plug_in_is_its_weight(world, share):
    above, below = towards(MapSynthesizer(world), known_subject(TokenMixture(world, share), world, 50, 0))
    assert torch.allclose(above, share * below, atol=1e-12)


def test_the_gap_of_the_prior_is_the_information_in_bits(world):
    subject = known_subject(PriorSynthesizer(world), world, 300, 0)
    log_ratio = exact.log_predictive(world, subject.related, subject.d1) - exact.log_evidence(world, subject.related)
    gap = measure(subject)[0]
    sampled = float(log_ratio.mean()) / (world.L * math.log(2))
    assert gap.estimate == pytest.approx(sampled, abs=4 * float(log_ratio.std()) / (300**0.5 * world.L * math.log(2)))


def test_a_null_world_has_only_a_gap():
    world = make_world("bow", preset="null", seed=0)
    findings = measure(known_subject(ExactSynthesizer(world), world, 100, 0))
    assert [f.quantity for f in findings] == ["gap"]
