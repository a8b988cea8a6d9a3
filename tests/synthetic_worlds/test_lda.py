"""The LDA world against a sum over all topic assignments in closed form, Pyro, and its own reported error."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chi2

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.lda import TOLERANCE, LatentDirichlet

QUICK = settings(deadline=None, max_examples=30)
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
DRAWS = 40_000


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def tiny(length: int = 3) -> LatentDirichlet:
    return LatentDirichlet(rows(0.3, 1.2, 0.5), rows([0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]), length)


def with_zeros() -> LatentDirichlet:
    """Word 2 is never used."""
    return LatentDirichlet(rows(0.4, 0.7), rows([1.0, 0.0, 0.0], [0.5, 0.5, 0.0]), 3)


def all_documents(world):
    return torch.cartesian_prod(*[torch.arange(world.V)] * world.L)


def log_moment(alpha, counts) -> float:
    """log E prod_k theta_k ** counts_k under Dirichlet(alpha)."""
    total = math.lgamma(sum(alpha)) - math.lgamma(sum(alpha) + sum(counts))
    return total + sum(math.lgamma(a + n) - math.lgamma(a) for a, n in zip(alpha, counts, strict=True))


def probability(world, words) -> float:
    """p(words) summed over every assignment of topics, theta integrated out in closed form."""
    alpha, topics, total = world.alpha.tolist(), world.topics.tolist(), 0.0
    for z in itertools.product(range(world.K), repeat=len(words)):
        counts = [z.count(k) for k in range(world.K)]
        emitted = math.prod(topics[k][v] for k, v in zip(z, words, strict=True))
        total += emitted * math.exp(log_moment(alpha, counts))
    return total


def p_value(world, tokens, probabilities) -> float:
    place = world.V ** torch.arange(world.L - 1, -1, -1)
    counts = torch.bincount((tokens * place).sum(1), minlength=len(probabilities)).double()
    assert (counts[probabilities == 0] == 0).all()
    kept = probabilities > 0
    expected = len(tokens) * probabilities[kept]
    return float(chi2.sf(float(((counts[kept] - expected).square() / expected).sum()), int(kept.sum()) - 1))


@pytest.mark.parametrize("world", [tiny(), with_zeros()], ids=["three topics", "zeros"])
def test_every_document_and_every_pair(world):
    documents = all_documents(world)
    evidence = np.array([probability(world, d) for d in documents.tolist()])
    assert abs(evidence.sum() - 1) < 1e-12
    np.testing.assert_allclose(exact.log_evidence(world, documents).exp(), evidence, rtol=0, atol=1e-12)
    for d1 in documents[:: len(documents) // 3]:
        given = d1.expand(len(documents), -1)
        joint = np.array([probability(world, d1.tolist() + d) for d in documents.tolist()])
        expected = joint / joint.sum() if joint.sum() > 0 else joint
        predictive = exact.log_predictive(world, documents, given).exp().numpy()
        np.testing.assert_allclose(predictive, expected, rtol=0, atol=1e-12)
        tokens = exact.next_token_log_probs(world, documents, given)
        assert not tokens.isnan().any()
        seen = tokens.gather(2, documents[..., None])[..., 0].sum(1).exp()
        np.testing.assert_allclose(seen, predictive, rtol=0, atol=1e-12)


def test_more_documents_than_exact_have_an_honest_small_error():
    world = tiny(2)
    d = [torch.tensor([[a, b]]) for a, b in ((0, 2), (2, 2), (0, 0), (2, 1))]
    assert world.words_exact == 5
    true = math.log(probability(world, [v for x in d for v in x[0].tolist()]))
    found = sum(
        exact.log_predictive(world, d[i], *d[:i]).item() if i else exact.log_evidence(world, d[0]).item()
        for i in range(4)
    )
    assert world.error(*d).item() == pytest.approx(abs(found - true), rel=1e-9) and abs(found - true) > 1e-4
    refined = world.refined(*d, tolerance=1e-9)
    assert refined.nodes > world.nodes and refined.error(*d).item() <= 1e-9
    found = sum(
        exact.log_predictive(refined, d[i], *d[:i]).item() if i else exact.log_evidence(refined, d[0]).item()
        for i in range(4)
    )
    assert found == pytest.approx(true, abs=1e-9)
    assert refined.spec() == world.spec()


def test_where_the_bound_cannot_be_held_it_says_so(monkeypatch):
    monkeypatch.setattr("synthetic_worlds.lda.MOST_NODES", 200)
    with pytest.raises(WorldError, match=r"topics=3, length=64: 14 nodes an axis.*error of .* nats; expected at most"):
        make_world("lda", topics=3, length=64, mixing=0.05, overlap=0.0)
    world = make_world("lda", topics=3, length=12, mixing=1.0)
    assert world.nodes == 13 and world.pair_error == 0
    many = [world.sample(1, torch.Generator().manual_seed(s)).tokens for s in range(12)]
    with pytest.raises(WorldError, match="nodes an axis, as many as fit"):
        world.refined(*many, tolerance=1e-14)


def test_a_world_that_is_not_exact_by_degree_reports_less_than_the_tolerance(monkeypatch):
    """13 nodes would be exact for two documents of 12 words; 9 are off by less than they report."""
    dials = {"length": 12, "overlap": 0.6, "mixing": 1.0}
    exactly = make_world("lda", **dials)
    monkeypatch.setattr("synthetic_worlds.lda.MOST_NODES", 9**2)
    world = make_world("lda", **dials)
    assert world.nodes == 9 and 1e-8 < world.pair_error < TOLERANCE
    assert f"{world.pair_error:.1e} nats" in world.description() and "rounding" in exactly.description()
    concepts = world.sample_concepts(300, torch.Generator().manual_seed(5))
    d1, d2 = (world.sample_given_concepts(concepts, torch.Generator().manual_seed(s)).tokens for s in (0, 1))
    together = [exact.log_evidence(w, d1) + exact.log_predictive(w, d2, d1) for w in (world, exactly)]
    error = (together[0] - together[1]).abs()
    assert 1e-10 < float(error.max()) < TOLERANCE and (error <= world.error(d1, d2) + 1e-11).all()


def test_impossible_is_minus_infinity_and_no_nan():
    world = with_zeros()
    impossible, d2 = torch.tensor([[0, 2, 0]]), torch.tensor([[0, 1, 0]])
    for result in (
        exact.log_evidence(world, impossible),
        exact.log_predictive(world, d2, impossible),
        exact.log_predictive(world, impossible, d2),
        exact.next_token_log_probs(world, d2, impossible),
    ):
        assert (result == -torch.inf).all()
    assert world.error(impossible, impossible, impossible).item() == 0
    with pytest.raises(WorldError, match="never produces"):
        exact.sample_related(world, torch.Generator(), impossible)


@QUICK
@given(
    st.sampled_from([0.0, 0.4, 1.0]),
    st.integers(1, 4),
    st.sampled_from([0.05, 0.5, 5.0]),
    st.integers(1, 8),
    st.integers(0, 10_000),
)
def test_laws_of_probability(overlap, topics, mixing, length, seed):
    world = make_world("lda", seed=seed, overlap=overlap, topics=topics, mixing=mixing, length=length, vocabulary=5)
    generator = torch.Generator().manual_seed(seed)
    d1, d2 = (torch.randint(5, (4, length), generator=generator) for _ in range(2))
    possible = torch.isfinite(exact.log_evidence(world, d1)) & torch.isfinite(exact.log_evidence(world, d2))
    d1, d2 = d1[possible], d2[possible]
    tokens = exact.next_token_log_probs(world, d2, d1)
    torch.testing.assert_close(tokens.logsumexp(-1), torch.zeros(d2.shape).double(), **CLOSE)
    predictive = exact.log_predictive(world, d2, d1)
    torch.testing.assert_close(tokens.gather(2, d2[..., None])[..., 0].sum(1), predictive, **CLOSE)
    joint = exact.log_evidence(world, d1) + predictive
    torch.testing.assert_close(joint, exact.log_evidence(world, d2) + exact.log_predictive(world, d1, d2), **CLOSE)
    torch.testing.assert_close(exact.log_predictive(world, d2.flip(1), d1.flip(1)), predictive, **CLOSE)
    order = torch.randperm(topics, generator=generator)
    other = LatentDirichlet(world.alpha[order], world.topics[order], length)
    torch.testing.assert_close(exact.log_predictive(other, d2, d1), predictive, **CLOSE)
    words = torch.randperm(5, generator=generator)
    other = LatentDirichlet(world.alpha, world.topics[:, words], length)
    torch.testing.assert_close(
        exact.log_predictive(other, words.argsort()[d2], words.argsort()[d1]), predictive, **CLOSE
    )


@pytest.mark.parametrize("world", [tiny(), with_zeros()], ids=["three topics", "zeros"])
def test_samplers_follow_their_densities(world):
    documents, generator = all_documents(world), torch.Generator().manual_seed(0)
    evidence = exact.log_evidence(world, documents).exp()
    tokens = world.sample(DRAWS, generator).tokens
    assert p_value(world, tokens, evidence) > 1e-4
    d1 = tokens[:1]
    related = exact.sample_related(world, generator, d1.expand(DRAWS, -1))
    predictive = exact.log_predictive(world, documents, d1.expand(len(documents), -1)).exp()
    assert p_value(world, related, predictive) > 1e-4
    assert p_value(world, related, evidence) < 1e-4
    tokens[: DRAWS // 20, 0] = 1
    assert p_value(world, tokens, evidence) < 1e-4


def test_log_prob_is_topics_and_words_given_theta():
    world = tiny()
    documents = world.sample(10, torch.Generator().manual_seed(0))
    theta, z = documents.latents["concept"], documents.latents["topics"]
    expected = [
        sum(math.log(theta[b, z[b, t]]) + math.log(world.topics[z[b, t], documents.tokens[b, t]]) for t in range(3))
        for b in range(10)
    ]
    torch.testing.assert_close(documents.log_prob, rows(*expected))
    assert (documents.log_prob <= world.log_prob_given_concepts(theta, documents.tokens)).all()


def test_pyros_joint_integrates_to_the_evidence():
    import pyro
    from pyro.infer import TraceEnum_ELBO

    from synthetic_worlds.pyro_spec import pyro_model

    world = LatentDirichlet(rows(1.3, 0.8), rows([0.6, 0.3, 0.1], [0.1, 0.2, 0.7]), 2)
    d1, d2 = torch.tensor([[0, 2]]), torch.tensor([[2, 1]])

    def joint(share: float) -> float:
        model = pyro.condition(pyro_model(world, d1, d2), {"concept": rows([share, 1 - share])})
        return math.exp(-TraceEnum_ELBO(max_plate_nesting=1).loss(model, lambda: None))

    # x = u ** (1 / 0.8) takes the singularity of the density out of the integral.
    power = 1 / 0.8
    value = quad(lambda u: joint(1 - u**power) * power * u ** (power - 1), 0, 1, epsabs=1e-9, limit=30)[0]
    together = exact.log_evidence(world, d1) + exact.log_predictive(world, d2, d1)
    assert together.item() == pytest.approx(math.log(value), abs=1e-6)


def test_null_preset_is_independent():
    world = make_world("lda", "null")
    figures = exact.information(world, 300, torch.Generator().manual_seed(0))
    assert abs(figures.I_d1_d2) < 1e-12 and abs(figures.I_c_d1) < 1e-12 and figures.ambiguity == 1


def test_one_topic_has_nothing_to_tell():
    world = make_world("lda", topics=1)
    assert world.words_exact == math.inf and exact.information(world, 50, torch.Generator()).I_d1_d2 < 1e-12


def test_wrong_parameters_are_refused():
    with pytest.raises(WorldError, match="expected a number over 0 for each topic"):
        LatentDirichlet(rows(0.0, 1.0), rows([0.5, 0.5], [0.5, 0.5]), 3)
    with pytest.raises(WorldError, match="topics"):
        LatentDirichlet(rows(1.0), rows([0.5, 0.6]), 3)


def test_law_is_that_of_the_version():
    """Numbers stored for version 1: where they change, the world's version must."""
    world = make_world("lda", "medium", seed=0)
    t, row = torch.arange(world.L), torch.arange(2)[:, None]
    d1 = (7 * row + 3 * t + t**2) % world.V
    d2 = d1.flip(0).roll(1, 1)
    assert (world.version, world.spec_hash) == (1, "959be45c0dc28572")
    assert exact.log_evidence(world, d1).tolist() == pytest.approx([-56.84075446634736, -80.57116309432817], rel=1e-9)
    assert exact.log_predictive(world, d2, d1).tolist() == pytest.approx(
        [-80.26280770737233, -56.532399079391524], rel=1e-9
    )


def test_explained_and_drawn(tmp_path, capsys):
    from synthetic_worlds.commands import worlds

    assert worlds(["lda", "--preset", "hard", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "the concept is continuous" in shown and "nan" not in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lda-hard-seed0.png", "lda-hard-seed0.svg"]
