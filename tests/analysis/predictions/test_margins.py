"""Every margin is readable, complete and has a reason; what is missing is said in one line."""

import pytest

from analysis.predictions import margins
from analysis.predictions.catalogue import PREDICTIONS
from analysis.predictions.finding import finding
from sbp_bayes.errors import UserError


def test_every_margin_has_a_reason():
    found = margins.margins()
    assert set(found) <= set(PREDICTIONS)
    assert all(len(row.reason) > 20 for rows in found.values() for row in rows.values())


def test_nothing_is_judged_without_a_margin():
    with pytest.raises(UserError, match=r'expected a table \[P1."beauty"\]'):
        margins.margin("P1", "beauty")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"margin": 0.0}, "expected a number above 0"),
        ({"margin": "wide"}, "expected a number above 0"),
        ({"test": "similar"}, "expected one of equal, at most, at least"),
        ({"relative": 1}, "relative = 1: expected true or false"),
        ({"control": "yes"}, "control = 'yes': expected true or false"),
        ({"note": "x"}, "expected margin, reason, test, unit"),
    ],
)
def test_a_wrong_margin_is_named(change, message):
    row = {"margin": 0.1, "test": "equal", "unit": "nats", "reason": "because"} | change
    with pytest.raises(UserError, match=message):
        margins._margin("P1.gap", row)


def test_a_relative_margin_is_a_share_of_what_exact_bayes_has():
    row = {"margin": 0.05, "test": "equal", "unit": "probability", "reason": "because", "relative": True}
    relative = margins._margin("P5.kept", row)
    assert relative.around(0.4) == relative.around(-0.4) == pytest.approx(0.02) and str(relative) == "0.05 of exact"
    assert finding("P5", "concept kept", "s", 0.1, 0.01, 9, null=0.1).margin == pytest.approx(0.005)
    assert finding("P4", "entropy after d2", "s", 0.1, 0.01, 9, null=0.1).margin == 0.05
