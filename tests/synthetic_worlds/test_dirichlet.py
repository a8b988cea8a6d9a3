"""Dirichlet draws and quadrature against moments in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.special import digamma

from synthetic_worlds.dirichlet import draw_log_dirichlet, most_nodes, simplex_quadrature


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def log_moment(alpha, counts) -> float:
    """log E prod_k theta_k ** counts_k under Dirichlet(alpha)."""
    total = math.lgamma(sum(alpha)) - math.lgamma(sum(alpha) + sum(counts))
    return total + sum(math.lgamma(a + n) - math.lgamma(a) for a, n in zip(alpha, counts, strict=True))


@pytest.mark.parametrize("alpha", [[0.3, 1.2, 0.5], [0.01, 0.02, 0.01], [20.0, 1.0, 4.0]])
def test_draws_have_the_moments(alpha):
    """E log theta_k and E theta_k ** 2; a shape that is 0.05 off is noticed."""
    n = 100_000

    def distances(alpha) -> np.ndarray:
        log_theta = draw_log_dirichlet(rows(*alpha).expand(n, -1), torch.Generator().manual_seed(0))
        squares = (2 * log_theta).exp()
        logs = digamma(np.array(true)) - digamma(sum(true))
        second = [math.exp(log_moment(true, [2 * (k == j) for j in range(3)])) for k in range(3)]
        pairs = ((log_theta, logs), (squares, second))
        return np.concatenate([(found.mean(0) - rows(*known)) / found.std(0) * n**0.5 for found, known in pairs])

    true = alpha
    assert np.abs(distances(alpha)).max() < 4.5
    assert np.abs(distances([a * 1.05 if k else a for k, a in enumerate(alpha)])).max() > 4.5


def test_a_parameter_of_zero_is_never_drawn():
    theta = draw_log_dirichlet(rows(0.0, 0.5, 2.0).expand(100, -1), torch.Generator().manual_seed(0)).exp()
    assert (theta[:, 0] == 0).all() and not theta.isnan().any()
    torch.testing.assert_close(theta.sum(1), torch.ones(100).double())


@pytest.mark.parametrize("alpha", [[0.01, 0.01], [0.3, 1.2, 0.5], [2.0, 0.1, 7.0, 0.5], [30.0, 60.0, 100.0]])
@pytest.mark.parametrize("n", [1, 4, 9])
def test_quadrature_has_every_moment_of_its_degree(alpha, n):
    theta, weights = simplex_quadrature(rows(*alpha), n)
    assert (weights > 0).all() and (theta >= 0).all() and len(weights) == n ** (len(alpha) - 1)
    torch.testing.assert_close(theta.sum(1), torch.ones(len(theta)).double())
    random = np.random.default_rng(0)
    for degree in range(2 * n):
        counts = random.multinomial(degree, np.ones(len(alpha)) / len(alpha))
        moment = float(weights @ theta.pow(torch.from_numpy(counts)).prod(1))
        assert moment == pytest.approx(math.exp(log_moment(alpha, counts.tolist())), rel=1e-11)


def test_quadrature_misses_the_next_degree():
    theta, weights = simplex_quadrature(rows(0.5, 0.5), 3)
    assert abs(float(weights @ theta[:, 0] ** 6) / math.exp(log_moment([0.5, 0.5], [6, 0])) - 1) > 1e-4


def test_most_nodes():
    assert [most_nodes(k, 1000) for k in (1, 2, 3, 20)] == [1000, 31, 10, 1]
