"""All predictions that apply, in every world of tokens: exact Bayes is refuted nowhere, and no finding is malformed."""

import math

import pytest

from analysis.predictions.catalogue import PREDICTIONS, judge
from analysis.predictions.margins import margin
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, decide, is_control
from analysis.synthesizers import ExactSynthesizer
from synthetic_worlds.catalogue import WORLDS, make_world
from synthetic_worlds.world import ConceptWorld, World

SLOW = "P14"  # the concept kernel of 32,768 documents takes a minute in the grammar; tested in smaller worlds


OF_TOKENS = [name for name, world in WORLDS.items() if issubclass(world, World)]


@pytest.mark.parametrize("name, preset", [*((name, "medium") for name in OF_TOKENS), ("bow", "null"), ("lda", "null")])
def test_exact_bayes_is_refuted_in_no_world(name, preset):
    world = make_world(name, preset, 0)
    subject = known_subject(ExactSynthesizer(world), world, 8 if name == "grammar" else 48, 0)
    findings = [
        found
        for name, prediction in PREDICTIONS.items()
        if name != SLOW and prediction.applies(subject) is None
        for found in prediction.measure(subject)
    ]
    assert not [d.finding for d in decide(findings) if d.outcome == REFUTED]
    keys = [(f.prediction, f.quantity) for f in findings]
    assert len(set(keys)) == len(keys)
    for f in findings:
        assert f.prediction in PREDICTIONS and f.n > 0 and math.isfinite(f.estimate)
        fixed = margin(f.prediction, f.quantity)
        assert (f.margin, f.unit, f.test) == (fixed.around(f.null), fixed.unit, fixed.test)
    beliefs = {"P2", "P4", "P5", "P16"}
    measured = {f.prediction for f in findings}
    assert (beliefs <= measured) == (isinstance(world, ConceptWorld) and preset != "null")
    if preset == "null":  # what is no constant of such a world, and a control
        assert {(f.prediction, f.quantity) for f in findings if not is_control(f)} == {
            ("P1", "gap"),
            ("P3", "asymmetry"),
            ("P3", "asymmetry above small errors"),
            ("P15", "surprise"),
            ("P15", "sampler against law"),
        }


def test_judging_runs_all_that_apply():
    world = make_world("bow", "medium", 0)
    found = {f.prediction for f in judge(known_subject(ExactSynthesizer(world), world, 48, 0))}
    assert found == {"P1", "P2", "P3", "P4", "P5", "P7", "P8", "P11", "P13", "P14", "P15", "P16"}


def test_what_does_not_apply_is_said_in_words():
    polya = make_world("polya", "medium", 0)
    reasons = {name: p.applies(known_subject(ExactSynthesizer(polya), polya, 8, 0)) for name, p in PREDICTIONS.items()}
    assert reasons["P1"] is None
    assert "no finite set of concepts" in reasons["P4"]
    assert "no style" in reasons["P6"]
    assert "no network" in reasons["P10"]
