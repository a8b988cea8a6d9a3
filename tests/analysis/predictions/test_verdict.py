"""Equivalence tests, Holm's correction and outcomes, against closed forms and simulation."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.predictions.finding import Finding
from analysis.predictions.verdict import (
    CONTROL,
    INCONCLUSIVE,
    REFUTED,
    SUPPORTED,
    by_prediction,
    decide,
    holm,
    p_inside,
    p_outside,
)


def found(estimate, se, margin=1.0, test="equal", null=0.0, prediction="P1"):
    return Finding(prediction, "something", "someone", estimate, se, 100, "nats", null, margin, test)


@given(st.floats(-5, 5), st.floats(0.1, 3), st.floats(-2, 2))
@settings(deadline=None, max_examples=50)
def test_p_values_are_those_of_z_tests_at_the_border(estimate, se, null):
    below, above = stats.norm(null - 1, se), stats.norm(null + 1, se)
    equal = found(estimate, se, null=null)
    assert p_outside(equal) == pytest.approx(max(below.sf(estimate), above.cdf(estimate)))
    distance = abs(estimate - null)
    two_sided = above.sf(null + distance) + above.cdf(null - distance)
    assert p_inside(equal) == pytest.approx(min(1, two_sided))
    most, least = found(estimate, se, test="at most", null=null), found(estimate, se, test="at least", null=null)
    assert p_outside(most) == pytest.approx(above.cdf(estimate))
    assert p_inside(most) == pytest.approx(above.sf(estimate))
    assert p_outside(least) == pytest.approx(below.sf(estimate))
    assert p_inside(least) == pytest.approx(below.cdf(estimate))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from([0.01, 0.05, 0.2]))
@settings(deadline=None, max_examples=50)
def test_holm_rejects_step_by_step(p_values, alpha):
    """The definition: go through the sorted p-values, stop at the first above alpha / (number left)."""
    order = np.argsort(p_values, kind="stable")
    rejected = set()
    for rank, i in enumerate(order):
        if (len(p_values) - rank) * p_values[i] > alpha:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_certain_quantities_need_no_error():
    assert [d.outcome for d in decide([found(0.5, 0.0), found(1.5, 0.0), found(math.inf, math.inf)])] == [
        SUPPORTED,
        REFUTED,
        REFUTED,
    ]
    assert decide([found(0.0, math.nan)])[0].outcome == INCONCLUSIVE
    assert decide([found(math.nan, 0.1)])[0].outcome == INCONCLUSIVE


def test_a_small_sample_decides_nothing():
    assert [decide([found(1.5, se)])[0].outcome for se in (0.1, 1.0)] == [REFUTED, INCONCLUSIVE]
    assert [decide([found(0.5, se)])[0].outcome for se in (0.1, 1.0)] == [SUPPORTED, INCONCLUSIVE]


def test_one_refuted_finding_refutes_its_prediction_and_all_must_support_it():
    certain, wrong, unsure = found(0, 0.01), found(3, 0.01), found(1, 0.5)
    for family, outcome in (
        ([certain, wrong], REFUTED),
        ([certain, unsure], INCONCLUSIVE),
        ([certain, certain], SUPPORTED),
        ([unsure, wrong], REFUTED),
    ):
        assert by_prediction(decide(family)) == {"P1": outcome}


@pytest.mark.parametrize("border, wrong_outcome", [(1.0, REFUTED), (1.0001, SUPPORTED)])
def test_false_outcomes_of_a_family_stay_below_five_percent_at_the_border(border, wrong_outcome):
    """Twelve quantities a family, all exactly at the border of their margins, where errors are most frequent."""
    random = np.random.default_rng(1)
    estimates = border + 0.2 * random.standard_normal((2000, 12))
    families = [[found(float(e), 0.2) for e in row] for row in estimates]
    share = np.mean([any(d.outcome == wrong_outcome for d in decide(family)) for family in families])
    assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert share > 0.02  # the procedure is not so cautious that it never errs


def test_few_degrees_of_freedom_widen_tails_and_intervals():
    sure, few = (dataclasses.replace(found(0.0, 0.5), df=df) for df in (math.inf, 2.0))
    assert p_outside(few) == pytest.approx(stats.t(2).sf(2)) and p_outside(sure) == pytest.approx(stats.norm.sf(2))
    widths = [decision.high - decision.low for decision in (decide([sure])[0], decide([few])[0])]
    assert widths == pytest.approx([stats.norm.ppf(0.95), stats.t(2).ppf(0.95)])


def test_seeds_that_are_out_on_different_sides_refute_nothing_together():
    """Each alone is far outside; the mean of opposite errors is no quantity that is out."""

    def seed(estimate: float) -> Finding:
        return Finding("P4", "x", "s", estimate, 0.01, 100, "nats", 0.0, 1.0, "equal")

    mean = Finding("P4", "x", "s", 0.0, 2.0, 400, "nats", 0.0, 1.0, "equal", df=3)
    both = [seed(3.0), seed(-3.0), seed(3.0), seed(-3.0)]
    assert decide([mean], seeds=[both])[0].outcome == INCONCLUSIVE
    assert decide([mean], seeds=[[seed(3.0)] * 4])[0].outcome == REFUTED


def test_a_control_refutes_and_never_supports():
    passed, failed, unsure = (
        dataclasses.replace(found(e, se), control=True) for e, se in ((0, 0.01), (3, 0.01), (1, 0.5))
    )
    assert [d.outcome for d in decide([passed, failed, unsure])] == [CONTROL, REFUTED, CONTROL]
    assert by_prediction(decide([passed, unsure])) == {"P1": CONTROL}
    assert by_prediction(decide([passed, found(0, 0.01)])) == {"P1": SUPPORTED}
    assert by_prediction(decide([passed, failed])) == {"P1": REFUTED}


def test_controls_cost_the_others_no_support_and_count_among_what_may_be_refuted():
    """At p = .03 alone; of two hypotheses Holm's correction makes it .06."""
    inside, outside = found(1 - 1.88, 1.0 / 2, margin=1.94), found(1.94, 0.5)
    alone, beside = decide([inside])[0], decide([inside, dataclasses.replace(found(0, 1), control=True)])[0]
    assert alone.p_outside == beside.p_outside < 0.05
    other = dataclasses.replace(found(0, 0.5), control=True)
    assert decide([outside])[0].outcome == REFUTED and decide([outside, other])[0].outcome == INCONCLUSIVE


def test_what_ignoring_d1_gets_right_supports_nothing_where_the_gap_is_refuted():
    order, gap, other = found(0, 0.01, prediction="P3"), found(3, 0.01), found(0, 0.01, prediction="P4")
    assert by_prediction(decide([order, gap, other])) == {"P3": INCONCLUSIVE, "P1": REFUTED, "P4": SUPPORTED}
    assert by_prediction(decide([order, found(0, 0.01)]))["P3"] == SUPPORTED
    assert by_prediction(decide([found(3, 0.01, prediction="P3"), gap]))["P3"] == REFUTED


def test_what_no_synthesizer_can_miss_supports_nothing_though_the_finding_does_not_say_so():
    """margins.toml says it, so that findings stored before it did are judged alike; beyond the margin it refutes."""
    known = [
        dataclasses.replace(found(e, 0.01, test="at most", prediction="P13"), quantity=quantity)
        for quantity, e in (
            ("information on real pairs", 0),
            ("information on real pairs", 3),
            ("claimed information", 0),
        )
    ]
    assert not any(f.control for f in known)
    assert [decide([f])[0].outcome for f in known] == [CONTROL, REFUTED, SUPPORTED]
    assert by_prediction(decide([known[0], known[2]])) == {"P13": SUPPORTED}
    assert by_prediction(decide([known[0]])) == {"P13": CONTROL}
