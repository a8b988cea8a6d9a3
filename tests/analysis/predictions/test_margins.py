"""Every margin is readable, complete and has a reason; what is missing is said in one line."""

import pytest

from analysis.predictions import margins
from analysis.predictions.catalogue import PREDICTIONS
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
        ({"note": "x"}, "expected margin, reason, test, unit"),
    ],
)
def test_a_wrong_margin_is_named(change, message):
    row = {"margin": 0.1, "test": "equal", "unit": "nats", "reason": "because"} | change
    with pytest.raises(UserError, match=message):
        margins._margin("P1.gap", row)
