"""The linear-Gaussian world against joint normal densities, closed-form informations, Pyro and its own sampler."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2, multivariate_normal

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.gaussian import LinearGaussian

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def world_of(D: int, q: int, seed: int = 0) -> LinearGaussian:
    random = np.random.default_rng(seed)
    return LinearGaussian(torch.from_numpy(random.normal(size=(D, q))), torch.from_numpy(random.uniform(0.2, 2, D)))


def related(world, m: int, n: int = 4):
    generator = torch.Generator().manual_seed(1)
    concepts = world.sample_concepts(n, generator)
    return [world.sample_given_concepts(concepts, generator).tokens for _ in range(m)]


def joint_covariance(world, m: int) -> np.ndarray:
    """Covariance (mD, mD) of m related documents."""
    signal = (world.loading @ world.loading.T).numpy()
    return np.kron(np.ones((m, m)), signal) + np.kron(np.eye(m), np.diag(world.noise.numpy()))


def joint_log_density(world, documents) -> np.ndarray:
    stacked = torch.cat(documents, 1).numpy()
    return multivariate_normal(np.zeros(stacked.shape[1]), joint_covariance(world, len(documents))).logpdf(stacked)


SHAPES = [(5, 2), (2, 5), (1, 1), (3, 3)]


@pytest.mark.parametrize("D, q", SHAPES)
def test_evidence_and_predictive_are_those_of_the_joint_normal(D, q):
    world = world_of(D, q)
    documents = related(world, 4)
    total = torch.zeros(4, dtype=torch.float64)
    for m, document in enumerate(documents):
        total = total + exact.log_predictive(world, document, *documents[:m])
        np.testing.assert_allclose(total, joint_log_density(world, documents[: m + 1]), **CLOSE)


@pytest.mark.parametrize("D, q", SHAPES)
def test_posterior_is_the_conditional_of_the_joint_normal(D, q):
    world = world_of(D, q)
    documents = related(world, 3)
    belief = world.prior_belief(4)
    for document in documents:
        belief, _ = world.update_belief(belief, document)
    mean, covariance = world.concept_posterior(belief)
    gain = np.kron(np.ones((1, 3)), world.loading.T.numpy()) @ np.linalg.inv(joint_covariance(world, 3))
    expected = np.eye(q) - gain @ np.kron(np.ones((3, 1)), world.loading.numpy())
    np.testing.assert_allclose(mean, torch.cat(documents, 1).numpy() @ gain.T, **CLOSE)
    np.testing.assert_allclose(covariance, np.broadcast_to(expected, covariance.shape), **CLOSE)


@pytest.mark.parametrize("D, q", SHAPES)
def test_informations_are_half_log_determinants(D, q):
    world = world_of(D, q)
    signal = torch.linalg.det(torch.eye(q) + world.loading.T / world.noise @ world.loading)
    assert world.concept_information() == pytest.approx(0.5 * math.log(signal), rel=1e-9)
    one, two = (np.linalg.slogdet(joint_covariance(world, m))[1] for m in (1, 2))
    assert world.pair_information() == pytest.approx(0.5 * (2 * one - two), rel=1e-9)
    figures = exact.information(world, 20_000, torch.Generator().manual_seed(0))
    assert abs(figures.I_c_d1 - world.concept_information()) < 4 * figures.I_c_d1_se
    assert abs(figures.I_d1_d2 - world.pair_information()) < 4 * figures.I_d1_d2_se
    assert figures.I_c_d1_se < 0.05


def test_exchangeable_and_bayes():
    world = world_of(4, 2)
    d1, d2, d3 = related(world, 3)
    forth = exact.log_evidence(world, d1) + exact.log_predictive(world, d2, d1)
    back = exact.log_evidence(world, d2) + exact.log_predictive(world, d1, d2)
    torch.testing.assert_close(forth, back, **CLOSE)
    torch.testing.assert_close(
        exact.log_predictive(world, d3, d1, d2), exact.log_predictive(world, d3, d2, d1), **CLOSE
    )


def mahalanobis_p_value(documents, mean, covariance) -> float:
    """The smaller p-value: of squared distances against chi-square (Kolmogorov-Smirnov), of each coordinate's mean."""
    from scipy.stats import kstest, norm

    centred = (documents - mean).numpy()
    squares = np.einsum("bi,ij,bj->b", centred, np.linalg.inv(covariance), centred)
    z = centred.mean(0) / np.sqrt(np.diag(covariance) / len(centred))
    return min(kstest(squares, chi2(len(covariance)).cdf).pvalue, float(2 * norm.sf(np.abs(z)).min()))


def test_samplers_follow_their_densities():
    world, n = world_of(3, 2), 20_000
    generator = torch.Generator().manual_seed(0)
    covariance = joint_covariance(world, 1)
    documents = world.sample(n, generator).tokens
    assert mahalanobis_p_value(documents, 0, covariance) > 1e-4
    assert mahalanobis_p_value(documents + 0.1, 0, covariance) < 1e-4
    assert mahalanobis_p_value(documents * 1.05, 0, covariance) < 1e-4
    d1 = documents[:1]
    drawn = exact.sample_related(world, generator, d1.expand(n, -1))
    joint = joint_covariance(world, 2)
    gain = joint[3:, :3] @ np.linalg.inv(joint[:3, :3])
    conditional = joint[3:, 3:] - gain @ joint[:3, 3:]
    assert mahalanobis_p_value(drawn, torch.from_numpy(d1.numpy() @ gain.T), conditional) > 1e-4
    assert mahalanobis_p_value(drawn, 0, covariance) < 1e-4


def test_log_prob_is_given_the_concept_and_pyros():
    import pyro

    from synthetic_worlds.pyro_spec import pyro_model

    world = world_of(3, 2)
    documents = world.sample(5, torch.Generator().manual_seed(0))
    concept = documents.latents["concept"]
    trace = pyro.poutine.trace(pyro.condition(pyro_model(world, documents.tokens), {"concept": concept})).get_trace()
    trace.compute_log_prob()
    torch.testing.assert_close(trace.nodes["d0"]["log_prob"], documents.log_prob, **CLOSE)
    prior = multivariate_normal(np.zeros(2), np.eye(2)).logpdf(concept.numpy())
    np.testing.assert_allclose(trace.nodes["concept"]["log_prob"], prior, **CLOSE)
    pyro.set_rng_seed(0)
    generated = pyro.poutine.trace(pyro_model(world, n=5000)).get_trace().nodes["d0"]["value"]
    assert mahalanobis_p_value(generated, 0, joint_covariance(world, 1)) > 1e-4


def test_null_preset_is_independent():
    world = make_world("gaussian", "null")
    assert world.pair_information() == 0 and world.concept_information() == 0
    figures = exact.information(world, 300, torch.Generator().manual_seed(0))
    assert abs(figures.I_d1_d2) < 1e-12 and figures.ambiguity == 1


def test_every_coordinate_has_variance_one():
    world = make_world("gaussian", overlap=0.3)
    np.testing.assert_allclose(np.diag(joint_covariance(world, 1)), 1, rtol=1e-12)


def test_little_noise_loses_no_digits():
    world = make_world("gaussian", overlap=1e-6)
    documents = related(world, 2)
    total = exact.log_evidence(world, documents[0]) + exact.log_predictive(world, documents[1], documents[0])
    np.testing.assert_allclose(total, joint_log_density(world, documents), rtol=1e-6)


def test_chunks_change_nothing(monkeypatch):
    world = world_of(3, 2)
    d1, d2 = related(world, 2, n=11)
    whole = exact.log_predictive(world, d2, d1)
    monkeypatch.setattr("synthetic_worlds.gaussian.CHUNK_ELEMENTS", 20)
    assert world.chunk == 4
    torch.testing.assert_close(exact.log_predictive(world, d2, d1), whole, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "documents",
    [
        torch.zeros(2, 4).double(),
        torch.zeros(2, 3),
        torch.zeros(2, 3, dtype=torch.int64),
        torch.full((2, 3), math.nan).double(),
    ],
)
def test_what_is_no_document_is_refused(documents):
    with pytest.raises(WorldError, match=r"expected finite float64 of shape \(2, 3\)"):
        exact.log_evidence(world_of(3, 2), documents)


def test_what_vectors_cannot_have_is_refused():
    world = world_of(3, 2)
    (d1,) = related(world, 1)
    with pytest.raises(WorldError, match="its documents are vectors"):
        exact.next_token_log_probs(world, d1)
    with pytest.raises(WorldError, match="no finite set of concepts"):
        exact.concept_log_posterior(world, d1)
    with pytest.raises(WorldError, match="D variances over 0"):
        LinearGaussian(torch.ones(3, 2).double(), torch.zeros(3).double())


def test_law_is_that_of_the_version():
    """Numbers stored for version 1: where they change, the world's version must."""
    world = make_world("gaussian", "medium", seed=0)
    t, row = torch.arange(world.D), torch.arange(2)[:, None]
    d1 = torch.sin((7 * row + 3 * t + t**2).double())
    d2 = d1.flip(0).roll(1, 1)
    assert (world.version, world.spec_hash) == (1, "c8777f78211d6d02")
    assert exact.log_evidence(world, d1).tolist() == pytest.approx([-17.23078386855071, -20.745476773727795], rel=1e-9)
    assert exact.log_predictive(world, d2, d1).tolist() == pytest.approx(
        [-19.50105184265503, -16.07045816248729], rel=1e-9
    )


def test_explained_and_drawn(tmp_path, capsys):
    from synthetic_worlds.commands import worlds

    assert worlds(["gaussian", "--preset", "hard", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "the concept is continuous" in shown and "nan" not in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gaussian-hard-seed0.png", "gaussian-hard-seed0.svg"]
