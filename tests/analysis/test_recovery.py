import math

import numpy as np
import pytest

from analysis.bootstrap import expanded_quantiles, paired_bootstrap
from analysis.recovery import gain, mean_interval, recovered_share

LOSSES = {
    "repetition": [1.0, 2.0, 1.5, 1.2],
    "oracle": [0.5, 1.0, 0.9, 0.7],
    "sbp": [0.75, 1.5, 1.2, 0.95],
    "random-pairs": [0.9, 1.8, 1.38, 1.1],
}


def test_share_is_the_ratio_of_mean_gains():
    share = recovered_share(LOSSES, "sbp")
    assert share.estimate == pytest.approx((0.25 + 0.5 + 0.3 + 0.25) / (0.5 + 1.0 + 0.6 + 0.5))
    assert share.low <= share.estimate <= share.high
    assert share.n == 4


def test_a_constant_share_has_no_width():
    share = recovered_share({**LOSSES, "sbp": [0.75, 1.5, 1.2, 0.95]}, "sbp")
    assert share.low == pytest.approx(0.5) and share.high == pytest.approx(0.5)


def test_ends_of_the_scale():
    assert recovered_share(LOSSES, "repetition").estimate == 0
    assert recovered_share(LOSSES, "oracle").estimate == 1


def test_difference_of_shares_is_the_share_of_the_difference():
    difference = recovered_share(LOSSES, "sbp", minus="random-pairs")
    expected = recovered_share(LOSSES, "sbp").estimate - recovered_share(LOSSES, "random-pairs").estimate
    assert difference.estimate == pytest.approx(expected)


def test_pairing_removes_what_seeds_have_in_common():
    """A large shift common to all arms of a seed must not widen anything."""
    shift = np.array([0.0, 100.0, -50.0, 7.0])
    shifted = {arm: (np.array(values) + shift).tolist() for arm, values in LOSSES.items()}
    assert recovered_share(shifted, "random-pairs").high == pytest.approx(recovered_share(LOSSES, "random-pairs").high)


def test_undefined_where_the_oracle_gains_nothing():
    losses = {"repetition": [1.0, 1.0, 1.0], "oracle": [1.2, 0.9, 0.8], "sbp": [0.9, 0.9, 0.9]}
    share = recovered_share(losses, "sbp")
    assert not share.defined and share.low is None
    assert gain(losses, "sbp", "repetition").estimate == pytest.approx(0.1)
    assert not recovered_share({arm: values[:1] for arm, values in losses.items()}, "sbp").defined


def test_one_seed_has_a_share_but_no_interval():
    share = recovered_share({arm: values[:1] for arm, values in LOSSES.items()}, "sbp")
    assert share.estimate == pytest.approx(0.5)
    assert share.se is None and share.low is None and share.high is None


def test_deterministic():
    assert recovered_share(LOSSES, "random-pairs") == recovered_share(LOSSES, "random-pairs")


@pytest.mark.parametrize(("n", "least", "most"), [(3, 0.68, 0.82), (5, 0.87, 0.97), (12, 0.91, 0.98)])
def test_interval_covers_a_mean_as_often_as_said(n, least, most):
    """Normal units: three of them cover 3 times in 4 (the range of the sample), five nearly and twelve quite 95 %."""
    random = np.random.default_rng(n)
    covered = 0
    for trial in range(600):
        sample = random.normal(1.0, 1.0, size=(n, 1))
        _, low, high = paired_bootstrap(sample, lambda means: means[:, 0], seed=trial, resamples=2000)
        covered += low <= 1.0 <= high
    assert least < covered / 600 < most


def test_quantiles_widen_with_fewer_units():
    lows = [expanded_quantiles(n)[0] for n in (2, 3, 5, 20, 1000)]
    assert lows == sorted(lows)
    assert lows[-1] == pytest.approx(0.025, abs=1e-3)
    with pytest.raises(ValueError, match="at least 2"):
        expanded_quantiles(1)


def test_an_undefined_resample_widens_to_infinity_never_nan():
    columns = np.array([[1.0, 0.1], [1.0, -0.5], [1.0, 3.0]])
    ratio = lambda m: np.where(m[:, 1] > 0, m[:, 0] / np.abs(m[:, 1]), np.nan)  # noqa: E731
    _, low, high = paired_bootstrap(columns, ratio)
    assert low == -math.inf and high == math.inf


def test_mean_interval_of_equal_values():
    interval = mean_interval([2.0, 2.0, 2.0])
    assert (interval.estimate, interval.se, interval.low, interval.high) == (2.0, 0.0, 2.0, 2.0)
