"""The concept kernel's figures against what they stand for, by enumeration of every document."""

import pytest
import torch

from analysis.ideal.concept_kernel import concept_kernel
from analysis.predictions.several_documents import exact_drift
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world

torch.set_num_threads(1)
WORLD = make_world("bow", seed=3, concepts=3, vocabulary=4, length=4, overlap=0.3, zipf=0.7)
DOCUMENTS = torch.cartesian_prod(*[torch.arange(4)] * 4)
PROBABILITIES = exact.log_evidence(WORLD, DOCUMENTS).exp()
KERNEL = concept_kernel(WORLD, DOCUMENTS, PROBABILITIES)
# (B, B) p(d2 | d1)
RELATED = exact.concept_log_posterior(WORLD, DOCUMENTS).exp() @ WORLD.log_likelihood(DOCUMENTS).exp().T


def test_the_prior_is_stationary_and_the_first_eigenvalue_is_one():
    torch.testing.assert_close(KERNEL.joint.sum(1), WORLD.prior)
    assert float(KERNEL.eigenvalues[0]) == pytest.approx(1)
    assert 0 < float(KERNEL.eigenvalues[-1]) < float(KERNEL.eigenvalues[1]) < 1


def test_the_sum_of_squares_is_the_divergence_of_pairs_from_independence():
    ratio = RELATED / PROBABILITIES
    chi_squared = (PROBABILITIES[:, None] * PROBABILITIES * (ratio - 1).square()).sum()
    assert KERNEL.pair_divergence == pytest.approx(float(chi_squared))
    assert KERNEL.pair_divergence < WORLD.C - 1
    information = (PROBABILITIES[:, None] * RELATED * ratio.log()).sum()
    assert float(information) <= torch.log1p(chi_squared)


def test_the_floor_is_how_often_exact_synthesis_changes_the_concept():
    random = generator("floor")
    drawn = WORLD.sample(20_000, random)
    posterior = exact.concept_log_posterior(WORLD, drawn.tokens).exp()
    changed = torch.multinomial(posterior, 1, generator=random)[:, 0] != drawn.latents["concept"]
    assert KERNEL.hallucination_floor == pytest.approx(float(changed.double().mean()), abs=4 * 0.5 / 20_000**0.5)


def test_the_second_eigenvalue_is_what_a_round_keeps():
    drift = exact_drift(WORLD)
    assert float(KERNEL.eigenvalues[1]) == pytest.approx(drift.kept, abs=4 * drift.se)


@pytest.mark.parametrize("count", [50, 400])
def test_the_synthetic_corpus_approaches_the_world_at_that_rate(count):
    """KL(p || q_N) by enumeration, over many draws of the seed documents; its second order leaves O(1 / N^2)."""
    rows = torch.multinomial(PROBABILITIES.expand(400, -1), count, replacement=True, generator=generator("seeds"))
    synthetic = torch.stack([RELATED[row].mean(0) for row in rows])
    divergences = (PROBABILITIES * (PROBABILITIES / synthetic).log()).sum(1)
    law = KERNEL.synthesis_divergence(count)
    assert float(divergences.mean()) == pytest.approx(law, abs=4 * float(divergences.std()) / 20 + law * 4 / count)
    assert float(divergences.std()) / 20 < 0.1 * law


def test_a_sample_of_documents_gives_nearly_the_same():
    sampled = concept_kernel(WORLD, WORLD.sample(20_000, generator("sample")).tokens)
    assert sampled.pair_divergence == pytest.approx(KERNEL.pair_divergence, rel=0.05)
    assert sampled.hallucination_floor == pytest.approx(KERNEL.hallucination_floor, abs=0.02)
