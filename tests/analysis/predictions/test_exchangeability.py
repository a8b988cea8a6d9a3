"""P3: exact Bayes is the same in either order; the mean of Delta is vacuous, its square is not."""

import pytest

from analysis.predictions import closeness
from analysis.predictions.exchangeability import measure, order_differences
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import INCONCLUSIVE, REFUTED, SUPPORTED
from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    LabelSwappedSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    TemperedSynthesizer,
)
from synthetic_worlds.catalogue import make_world


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=0)


@pytest.mark.parametrize("right", [ExactSynthesizer, PriorSynthesizer])
def test_exact_bayes_and_independence_have_no_order(world, right):
    delta, gap = order_differences(known_subject(right(world), world, 200, 0))
    assert float(delta.abs().max()) < 1e-10
    assert float(gap.mean()) == pytest.approx(0, abs=1e-12) or right is PriorSynthesizer


def test_the_mean_is_zero_even_for_a_law_that_depends_on_the_order(world):
    delta, _ = order_differences(known_subject(MapSynthesizer(world), world, 4000, 0))
    assert abs(float(delta.mean())) < 4 * float(delta.std()) / 4000**0.5
    assert float(delta.std()) > 1


@pytest.mark.parametrize(
    "wrong, outcome",
    [
        (MapSynthesizer, REFUTED),
        (LabelSwappedSynthesizer, REFUTED),
        (lambda world: TemperedSynthesizer(ExactSynthesizer(world), 0.7), REFUTED),
        (lambda world: CopyingSynthesizer(world, 0.05), SUPPORTED),
    ],
)
def test_what_it_refutes(world, outcomes, wrong, outcome):
    assert outcomes(measure(known_subject(wrong(world), world, 1024, 0)))["asymmetry"] == outcome


def test_the_gap_of_the_pair_counts_the_document_alone(world):
    """Eight times a wrong law of d1 is taken off, though the law of d2 given d1 is exact."""
    subject = known_subject(ExactSynthesizer(world), world, 200, 0)
    wrong_alone = type(subject)(
        subject.synthesizer, world, subject.d1, 0, TemperedSynthesizer(ExactSynthesizer(world), 0.7)
    )
    delta, gap = order_differences(wrong_alone)
    assert float(gap.mean()) > 0.5
    assert float(delta.square().mean()) > 0.1


@pytest.mark.parametrize("kind, outcome", [(ExactSynthesizer, SUPPORTED), (PriorSynthesizer, INCONCLUSIVE)])
def test_who_ignores_d1_is_not_supported_by_its_symmetry(world, outcomes, kind, outcome):
    subject = known_subject(kind(world), world, 512, 0)
    assert outcomes(closeness.measure(subject) + measure(subject))["asymmetry"] == outcome
