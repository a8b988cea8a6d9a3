"""The Dirichlet-multinomial world against closed forms in gamma functions, enumeration, Pyro and its own sampler."""

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
from synthetic_worlds.polya import DirichletMultinomial, earlier_occurrences

QUICK = settings(deadline=None, max_examples=40)
CLOSE = {"rtol": 1e-11, "atol": 1e-11}
DRAWS = 40_000


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def tiny(length: int = 4) -> DirichletMultinomial:
    return DirichletMultinomial(rows(0.3, 0.7), rows([0.2, 0.5, 0.3], [0.6, 0.1, 0.3]), 0.6, length)


def with_zeros() -> DirichletMultinomial:
    """Component 0 never uses word 2, component 1 never word 0: no document has both words."""
    return DirichletMultinomial(rows(0.4, 0.6), rows([0.5, 0.5, 0.0], [0.0, 0.3, 0.7]), 0.8, 3)


def all_documents(world):
    return torch.cartesian_prod(*[torch.arange(world.V)] * world.L)


def polya_probability(world, *documents) -> float:
    """p(documents together) by the textbook formula, a ratio of gamma functions for each component."""
    words = list(itertools.chain(*documents))
    total = 0.0
    for weight, mean in zip(world.weights.tolist(), world.means.tolist(), strict=True):
        alpha = [world.overlap / (1 - world.overlap) * m for m in mean]
        term = weight * math.gamma(sum(alpha)) / math.gamma(sum(alpha) + len(words))
        for v, a in enumerate(alpha):
            if words.count(v):
                term *= math.gamma(a + words.count(v)) / math.gamma(a) if a else 0.0
        total += term
    return total


def p_value(world, tokens, probabilities) -> float:
    place = world.V ** torch.arange(world.L - 1, -1, -1)
    counts = torch.bincount((tokens * place).sum(1), minlength=len(probabilities)).double()
    expected = len(tokens) * probabilities
    assert (counts[probabilities == 0] == 0).all()
    kept = expected > 0
    return float(chi2.sf(float(((counts - expected)[kept].square() / expected[kept]).sum()), int(kept.sum()) - 1))


@pytest.mark.parametrize("world", [tiny(), with_zeros()], ids=["mixture", "zeros"])
def test_every_document_and_every_pair(world):
    documents = all_documents(world)
    evidence = np.array([polya_probability(world, d) for d in documents.tolist()])
    assert abs(evidence.sum() - 1) < 1e-12
    np.testing.assert_allclose(exact.log_evidence(world, documents).exp(), evidence, rtol=0, atol=1e-12)
    for d1 in documents[::7]:
        given = d1.expand(len(documents), -1)
        joint = np.array([polya_probability(world, d1.tolist(), d) for d in documents.tolist()])
        predictive = exact.log_predictive(world, documents, given).exp().numpy()
        expected = joint / joint.sum() if joint.sum() > 0 else joint
        np.testing.assert_allclose(predictive, expected, rtol=0, atol=1e-12)
        tokens = exact.next_token_log_probs(world, documents, given)
        assert not tokens.isnan().any()
        np.testing.assert_allclose(
            tokens.gather(2, documents[..., None])[..., 0].sum(1).exp(), predictive, rtol=0, atol=1e-12
        )


def test_three_documents_by_the_textbook_formula():
    world = tiny()
    d1, d2, d3 = world.sample(3, torch.Generator().manual_seed(0)).tokens.split(1)
    together, two = (polya_probability(world, *(d[0].tolist() for d in ds)) for ds in ((d1, d2, d3), (d1, d2)))
    assert exact.log_predictive(world, d3, d1, d2).item() == pytest.approx(math.log(together / two), abs=1e-11)


def test_impossible_is_minus_infinity_and_no_nan():
    world = with_zeros()
    impossible, d2 = torch.tensor([[0, 1, 2]]), torch.tensor([[1, 1, 1]])
    for result in (
        exact.log_evidence(world, impossible),
        exact.log_predictive(world, d2, impossible),
        exact.log_predictive(world, d2, impossible, d2),
        exact.log_predictive(world, torch.tensor([[2, 2, 2]]), torch.tensor([[0, 0, 0]])),
        exact.next_token_log_probs(world, d2, impossible),
    ):
        assert (result == -torch.inf).all()
    with pytest.raises(WorldError, match="never produces"):
        exact.sample_related(world, torch.Generator(), impossible)


@QUICK
@given(
    st.sampled_from([0.001, 0.3, 0.9, 1.0]),
    st.integers(1, 4),
    st.integers(2, 6),
    st.integers(1, 12),
    st.integers(0, 10_000),
)
def test_laws_of_probability(overlap, components, vocabulary, length, seed):
    world = make_world("polya", seed=seed, overlap=overlap, components=components, vocabulary=vocabulary, length=length)
    generator = torch.Generator().manual_seed(seed)
    d1, d2, d3 = (torch.randint(vocabulary, (5, length), generator=generator) for _ in range(3))
    tokens = exact.next_token_log_probs(world, d2, d1)
    torch.testing.assert_close(tokens.logsumexp(-1), torch.zeros(d2.shape).double(), **CLOSE)
    predictive = exact.log_predictive(world, d2, d1)
    torch.testing.assert_close(tokens.gather(2, d2[..., None])[..., 0].sum(1), predictive, **CLOSE)
    joint = exact.log_evidence(world, d1) + predictive
    torch.testing.assert_close(joint, exact.log_evidence(world, d2) + exact.log_predictive(world, d1, d2), **CLOSE)
    torch.testing.assert_close(
        exact.log_predictive(world, d3, d1, d2), exact.log_predictive(world, d3.flip(1), d2.flip(1), d1), **CLOSE
    )
    order = torch.randperm(vocabulary, generator=generator)
    other = DirichletMultinomial(world.weights, world.means[:, order], overlap, length)
    torch.testing.assert_close(
        exact.log_predictive(other, order.argsort()[d2], order.argsort()[d1]), predictive, **CLOSE
    )


def test_null_preset_is_independent_exactly():
    world = make_world("polya", "null")
    d1, d2 = (world.sample(50, torch.Generator().manual_seed(s)).tokens for s in (0, 1))
    assert torch.equal(exact.log_predictive(world, d2, d1), exact.log_evidence(world, d2))
    figures = exact.information(world, 500, torch.Generator().manual_seed(0))
    assert figures.I_d1_d2 == 0 and abs(figures.I_c_d1) < 1e-12
    assert math.isnan(figures.H_c_given_d1) and math.isnan(figures.log_C)


def test_components_at_overlap_one_are_a_bag_of_words_mixture():
    from synthetic_worlds.bow import BagOfWords

    world = DirichletMultinomial(rows(0.3, 0.7), rows([0.2, 0.5, 0.3], [0.6, 0.1, 0.3]), 1.0, 4)
    bag = BagOfWords(world.weights, world.means, 4)
    d1, d2 = (world.sample(20, torch.Generator().manual_seed(s)).tokens for s in (0, 1))
    torch.testing.assert_close(exact.log_predictive(world, d2, d1), exact.log_predictive(bag, d2, d1), **CLOSE)


def test_information_by_enumeration():
    """I(d1;d2) over all pairs, and I(c;d1) as the evidence's entropy less the mean entropy given theta."""
    world = tiny(3)
    documents = all_documents(world)
    evidence = exact.log_evidence(world, documents)
    predictive = torch.stack([exact.log_predictive(world, documents, d.expand(len(documents), -1)) for d in documents])
    gain = float((evidence.exp()[:, None] * predictive.exp() * (predictive - evidence)).sum())
    theta = world.sample_concepts(200_000, torch.Generator().manual_seed(0))
    noise = world.L * torch.special.entr(theta).sum(1)
    known = float(-(evidence.exp() * evidence).sum() - noise.mean())
    figures = exact.information(world, 20_000, torch.Generator().manual_seed(1))
    assert abs(figures.I_d1_d2 - gain) < 4 * figures.I_d1_d2_se
    assert abs(figures.I_c_d1 - known) < 4 * math.hypot(figures.I_c_d1_se, float(noise.std()) / 200_000**0.5)


@pytest.mark.parametrize("world", [tiny(3), with_zeros()], ids=["mixture", "zeros"])
def test_samplers_follow_their_densities(world):
    documents, generator = all_documents(world), torch.Generator().manual_seed(0)
    evidence = exact.log_evidence(world, documents).exp()
    tokens = world.sample(DRAWS, generator).tokens
    assert p_value(world, tokens, evidence) > 1e-4
    d1 = tokens[:1]
    related = exact.sample_related(world, generator, d1.expand(DRAWS, -1))
    predictive = exact.log_predictive(world, documents, d1.expand(len(documents), -1)).exp()
    assert p_value(world, related, predictive) > 1e-4
    tokens[: DRAWS // 20, 0] = 1
    assert p_value(world, tokens, evidence) < 1e-4


def test_theta_at_the_corners_is_drawn_right():
    """Where theta is nearly a corner a document repeats one word, and gamma draws as such would all underflow."""
    world = DirichletMultinomial(rows(1.0), rows([0.2, 0.5, 0.3]), 1e-4, 4)
    documents = world.sample(20_000, torch.Generator().manual_seed(0))
    assert not documents.latents["concept"].isnan().any() and torch.isfinite(documents.log_prob).all()
    first = torch.bincount(documents.tokens[:, 0], minlength=3) / 20_000
    torch.testing.assert_close(first.double(), world.means[0], rtol=0, atol=0.015)
    assert (documents.tokens == documents.tokens[:, :1]).all(1).double().mean() > 0.99


def test_log_prob_is_the_documents_given_theta():
    documents = tiny().sample(10, torch.Generator().manual_seed(0))
    expected = [
        math.fsum(math.log(theta[v]) for v in tokens)
        for theta, tokens in zip(documents.latents["concept"].tolist(), documents.tokens.tolist(), strict=True)
    ]
    torch.testing.assert_close(documents.log_prob, rows(*expected))


def test_pyros_joint_integrates_to_the_evidence():
    import pyro

    from synthetic_worlds.pyro_spec import pyro_model

    world = DirichletMultinomial(rows(0.3, 0.7), rows([0.4, 0.6], [0.7, 0.3]), 0.8, 3)
    d1, d2 = torch.tensor([[0, 1, 0]]), torch.tensor([[0, 0, 1]])

    def joint(share: float) -> float:
        model = pyro.condition(pyro_model(world, d1, d2), {"concept": rows([share, 1 - share])})
        return math.exp(float(pyro.poutine.trace(model).get_trace().log_prob_sum()))

    expected = math.log(quad(joint, 0, 1, epsabs=1e-11)[0])
    together = exact.log_evidence(world, d1) + exact.log_predictive(world, d2, d1)
    assert together.item() == pytest.approx(expected, abs=1e-6)
    pyro.set_rng_seed(0)
    tokens = pyro.poutine.trace(pyro_model(world, n=DRAWS)).get_trace().nodes["d0"]["value"]
    assert p_value(world, tokens, exact.log_evidence(world, all_documents(world)).exp()) > 1e-4


def test_long_documents_and_chunks(monkeypatch):
    world = make_world("polya", components=3, vocabulary=50, length=2000)
    d1, d2 = (world.sample(5, torch.Generator().manual_seed(s)).tokens for s in (0, 1))
    whole = exact.next_token_log_probs(world, d2, d1)
    own = whole.gather(2, d2[..., None]).sum((1, 2))
    torch.testing.assert_close(own, exact.log_predictive(world, d2, d1), rtol=1e-12, atol=0)
    monkeypatch.setattr("synthetic_worlds.world.CHUNK_ELEMENTS", 200)
    monkeypatch.setattr("synthetic_worlds.polya.CHUNK_ELEMENTS", 200)
    assert world.chunk == 1
    torch.testing.assert_close(exact.next_token_log_probs(world, d2, d1), whole, rtol=0, atol=1e-13)


def test_earlier_occurrences():
    assert earlier_occurrences(torch.tensor([[2, 0, 2, 2, 0], [1, 1, 1, 1, 1]])).tolist() == [
        [0, 0, 1, 2, 1],
        [0, 1, 2, 3, 4],
    ]


def test_wrong_parameters_are_refused():
    with pytest.raises(WorldError, match="overlap=0; expected a number over 0"):
        DirichletMultinomial(rows(1.0), rows([0.5, 0.5]), 0.0, 3)
    with pytest.raises(WorldError, match="means"):
        DirichletMultinomial(rows(1.0), rows([0.5, 0.6]), 0.5, 3)
    with pytest.raises(WorldError, match="no finite set of concepts"):
        exact.concept_log_posterior(tiny(), torch.tensor([[0, 1, 2, 0]]))


def test_law_is_that_of_the_version():
    """Numbers stored for version 1: where they change, the world's version must."""
    world = make_world("polya", "medium", seed=0)
    t, row = torch.arange(world.L), torch.arange(2)[:, None]
    d1 = (7 * row + 3 * t + t**2) % world.V
    d2 = d1.flip(0).roll(1, 1)
    assert (world.version, world.spec_hash) == (1, "7eba06752c434495")
    assert exact.log_evidence(world, d1).tolist() == pytest.approx([-75.98758663448675, -88.96800350245005], rel=1e-9)
    assert exact.log_predictive(world, d2, d1).tolist() == pytest.approx(
        [-104.21617020096623, -91.2357533330029], rel=1e-9
    )


def test_explained_and_drawn(tmp_path, capsys):
    from synthetic_worlds.commands import worlds

    assert worlds(["polya", "--preset", "hard", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "the concept is continuous" in shown and "nan" not in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["polya-hard-seed0.png", "polya-hard-seed0.svg"]
