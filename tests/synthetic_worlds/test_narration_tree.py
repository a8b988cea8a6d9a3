"""Sums and maxima over forests against the list of all assignments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_worlds.narration_tree import Forest

CLOSE = {"rtol": 1e-11, "atol": 1e-11}


@st.composite
def forests(draw):
    """A forest with zeros here and there, and evidence, some of it impossible."""
    A, K = draw(st.integers(1, 5)), draw(st.integers(2, 3))
    parents = tuple(draw(st.integers(-1, i - 1)) for i in range(A))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    weights = torch.rand(A, K, K, dtype=torch.float64, generator=generator)
    weights[:, :, 1:] *= torch.rand(A, K, K - 1, generator=generator) < 0.7
    weights += 1e-3 * torch.eye(K)[0]
    for i, parent in enumerate(parents):
        if parent < 0:
            weights[i] = weights[i, :1]
    evidence = 3 * torch.randn(6, A, K, dtype=torch.float64, generator=generator)
    evidence[torch.rand(6, A, K, generator=generator) < 0.2] = -torch.inf
    evidence[0] = -torch.inf
    evidence[1] = 0
    return Forest(parents, (weights / weights.sum(-1, keepdim=True)).log()), evidence


def listed(forest, evidence):
    """All assignments (n, A), and log p(a) + evidence(a) of each in every row (N, n), by loops."""
    N, A, K = evidence.shape
    assignments = torch.cartesian_prod(*[torch.arange(K)] * A).view(-1, A)
    joint = torch.zeros(N, len(assignments), dtype=torch.float64)
    for column, a in enumerate(assignments.tolist()):
        for i, parent in enumerate(forest.parents):
            joint[:, column] += forest.log_transition[i, a[parent] if parent >= 0 else 0, a[i]] + evidence[:, i, a[i]]
    return assignments, joint


@settings(deadline=None, max_examples=60)
@given(forests())
def test_against_the_list(case):
    forest, evidence = case
    assignments, joint = listed(forest, evidence)
    total = joint.logsumexp(1)
    torch.testing.assert_close(forest.log_partition(evidence), total, **CLOSE)
    posterior = torch.where((total > -torch.inf)[:, None], (joint - total[:, None]).exp(), 0.0)
    marginals = torch.stack([posterior @ (assignments == k).double() for k in range(evidence.shape[2])], 2)
    torch.testing.assert_close(forest.log_marginals(evidence).exp(), marginals, **CLOSE)
    torch.testing.assert_close(forest.entropy(evidence), torch.special.entr(posterior).sum(1), **CLOSE)
    torch.testing.assert_close(forest.collision(evidence), posterior.square().sum(1), **CLOSE)
    best = forest.most_probable(evidence)
    found = (assignments == best[:, None]).all(2).double().argmax(1)
    torch.testing.assert_close(joint.gather(1, found[:, None])[:, 0], joint.amax(1), **CLOSE)
    nothing = torch.zeros(len(assignments), *evidence.shape[1:], dtype=torch.float64)
    torch.testing.assert_close(forest.log_prior(assignments), listed(forest, nothing[:1])[1][0], **CLOSE)
    torch.testing.assert_close(forest.log_partition(nothing), nothing[:, 0, 0], **CLOSE)


@pytest.mark.parametrize("wrong", [False, True])
def test_samples_follow_the_posterior(wrong):
    generator = torch.Generator().manual_seed(4)
    weights = torch.rand(3, 2, 2, dtype=torch.float64, generator=generator)
    weights[0] = weights[0, :1]
    forest = Forest((-1, 0, 0), (weights / weights.sum(-1, keepdim=True)).log())
    evidence = torch.randn(1, 3, 2, dtype=torch.float64, generator=generator)
    drawn = forest.sample((0 * evidence if wrong else evidence).expand(40_000, -1, -1), generator)
    _, joint = listed(forest, evidence)
    counts = torch.bincount((drawn * torch.tensor([4, 2, 1])).sum(1), minlength=8)
    expected = 40_000 * torch.softmax(joint[0], 0)
    distance = float(((counts - expected) ** 2 / expected).sum())  # chi-square with 7 degrees of freedom
    assert (distance > 60) if wrong else (distance < 30)
