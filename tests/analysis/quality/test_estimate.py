import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.quality.estimate import mean, ratio


def test_without_groups_it_is_the_mean_and_its_standard_error():
    values = np.array([0.0, 1.0, 1.0, 4.0, 2.5])
    found = mean(values)
    assert found.value == pytest.approx(values.mean())
    assert found.se == pytest.approx(values.std(ddof=1) / len(values) ** 0.5)
    assert found.n == 5


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.integers(2, 5))
@settings(deadline=None, max_examples=30)
def test_documents_said_several_times_add_no_certainty(values, times):
    repeated = mean(np.repeat(values, times), np.repeat(np.arange(len(values)), times))
    assert repeated.value == pytest.approx(mean(np.array(values)).value)
    assert repeated.se == pytest.approx(mean(np.array(values)).se, abs=1e-12)


def test_a_ratio_weighs_documents_by_their_wholes_and_nothing_has_none():
    assert ratio(np.array([1, 6]), np.array([2, 8])).value == pytest.approx(0.7)
    assert np.isnan(ratio(np.zeros(3), np.zeros(3)).value)
    assert mean(np.ones(4), np.zeros(4, int)).se is None


def test_the_error_covers_the_truth_where_groups_are_correlated():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        values = np.repeat(rng.normal(size=60), 5) + 0.1 * rng.normal(size=300)
        found = mean(values, np.repeat(np.arange(60), 5))
        inside += abs(found.value) < 1.96 * found.se
    assert 0.90 < inside / 400 < 0.99
