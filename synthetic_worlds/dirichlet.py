"""Dirichlet distributions: exact draws, and integrals of polynomials over the simplex."""

import math

import numpy as np
import torch
from scipy.special import roots_jacobi
from torch import Tensor


def draw_log_dirichlet(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """log theta (B, K), theta ~ Dirichlet(alpha[b]) for each row of ``alpha`` (B, K); alpha 0 gives theta 0.

    A Gamma(a) draw is a Gamma(a + 1) draw times U ** (1 / a): in logs that stays right where a is so small that the
    draw itself underflows, as it does in most of a sparse theta.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    boosted = torch.from_numpy(np.random.default_rng(seed).standard_gamma(alpha.numpy() + 1.0)).log()
    uniform = 1 - torch.rand(alpha.shape, dtype=torch.float64, generator=generator)  # in (0, 1]: its log is finite
    shrink = torch.where(alpha > 0, uniform.log() / alpha.clamp_min(torch.finfo(torch.float64).tiny), -torch.inf)
    return torch.log_softmax(boosted + shrink, -1)


def simplex_quadrature(alpha: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Nodes (n ** (K-1), K) on the simplex and weights that sum to one, for expectations under Dirichlet(alpha) (K,).

    Exact to rounding for every polynomial of degree up to 2n - 1: with theta_k = u_k * prod_(j<k) (1 - u_j) the u_k are
    independent Beta variables, and each has its Gauss-Jacobi rule (Stroud, Approximate Calculation of Multiple
    Integrals, 1971, conical product). All weights are positive, so a positive integrand loses no digits.
    """
    K = len(alpha)
    theta, weights, rest = torch.empty(1, 0).double(), torch.ones(1).double(), torch.ones(1).double()
    for k in range(K - 1):
        a, b = float(alpha[k]), float(alpha[k + 1 :].sum())
        roots, mass = roots_jacobi(n, b - 1, a - 1)
        u, mass = torch.from_numpy((1 + roots) / 2), torch.from_numpy(mass / mass.sum())
        theta = torch.cat([theta.repeat_interleave(n, 0), (rest[:, None] * u).reshape(-1, 1)], 1)
        weights = (weights[:, None] * mass).flatten()
        rest = (rest[:, None] * (1 - u)).flatten()
    return torch.cat([theta, rest[:, None]], 1), weights


def most_nodes(axes: int, limit: int) -> int:
    """The largest n with n ** axes <= limit, for at least one axis."""
    n = math.floor(limit ** (1 / axes))
    return n + 1 if (n + 1) ** axes <= limit else n
