import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.predictions.jackknife import jackknife
from analysis.predictions.mixture_weight import crossing, crossing_against, weight_against, weight_parts
from analysis.predictions.one_parameter import cross_entropy, fit_along
from sbp_bayes.seeds import generator


def laws(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator("laws", seed), dtype=torch.float64).log_softmax(-1)


@settings(deadline=None, max_examples=10)
@given(weight=st.floats(0.05, 0.95), seed=st.integers(0, 5))
def test_a_law_on_the_line_is_found_without_noise(weight, seed):
    a, b = laws(40, 4, 5, seed=seed), laws(40, 4, 5, seed=seed + 100)

    def mixture(w: float) -> torch.Tensor:
        return (w * a.exp() + (1 - w) * b.exp()).log()

    found = fit_along(lambda w: cross_entropy(mixture(weight), mixture(w)), 0.0, 1.0)
    assert found.value == pytest.approx(weight, abs=1e-4)
    assert found.se < 1e-3


def test_the_standard_error_is_that_of_a_mean():
    draws = torch.randn(4000, generator=generator("draws"), dtype=torch.float64) * 2 + 0.3
    found = fit_along(lambda value: (draws - value) ** 2, -3.0, 3.0)
    assert found.value == pytest.approx(float(draws.mean()), abs=1e-4)
    assert found.se == pytest.approx(2 / math.sqrt(4000), rel=0.05)


def test_a_minimum_beyond_the_end_is_the_end_and_a_flat_line_says_nothing():
    draws = torch.randn(400, generator=generator("draws"), dtype=torch.float64) - 5
    beyond = fit_along(lambda value: (draws - value) ** 2, 0.0, 1.0)
    assert (beyond.value, beyond.se) == (0.0, 0.0)
    close = torch.randn(400, generator=generator("draws"), dtype=torch.float64) - 0.05
    near = fit_along(lambda value: (close - value) ** 2, 0.0, 1.0)
    assert near.value == 0.0 and 0 <= near.se < 0.1
    assert fit_along(lambda value: torch.ones(50, dtype=torch.float64), 0.0, 1.0).se == math.inf


def test_tokens_outside_the_line_count_for_nothing():
    log_p = torch.tensor([[[0.0, -math.inf]]], dtype=torch.float64)
    log_q = torch.tensor([[[0.5, 0.5]]], dtype=torch.float64).log()
    assert cross_entropy(log_q, log_p).tolist() == [0.0]


def test_jackknife_of_a_mean_and_of_a_ratio():
    x = torch.randn(6400, generator=generator("x"), dtype=torch.float64) + 3
    y = torch.randn(6400, generator=generator("y"), dtype=torch.float64) * 0.5 + 2
    mean, se = jackknife(float, x)
    assert mean == pytest.approx(float(x.mean()))
    assert se == pytest.approx(float(x.std()) / 80, rel=0.4)
    found, se = jackknife(lambda a, b: float(a / b), x, y)
    residual = (x - found * y).std() / y.mean()
    assert se == pytest.approx(float(residual) / 80, rel=0.4)


def test_the_weight_of_a_mixture_is_found_from_the_laws():
    a, b = laws(30, 3, 4, seed=1), laws(30, 3, 4, seed=2)
    weights = torch.tensor([0.1, 0.6, 0.9], dtype=torch.float64)
    mixture = (weights[:, None] * a.exp() + (1 - weights[:, None]) * b.exp()).log()
    top, bottom = weight_parts(mixture, a, b)
    assert torch.allclose(top / bottom, weights.expand(30, -1))
    found, null, se = crossing_against((top, bottom), weight_parts(a, a, b))
    assert found == pytest.approx(0.8) and null == 3.0 and se < 1e-12
    assert weight_against((top, bottom), weight_parts(a, a, b), 1)[:2] == pytest.approx((0.6, 1.0))


def test_crossing_both_ways_and_never():
    assert crossing(torch.tensor([0.9, 0.7, 0.3])) == pytest.approx(1.5)
    assert crossing(torch.tensor([0.1, 0.2, 0.8])) == pytest.approx(1.5)
    assert crossing(torch.tensor([0.9, 0.8, 0.7])) == 3.0
