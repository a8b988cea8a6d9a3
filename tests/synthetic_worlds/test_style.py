"""Concept times style: what styles do, that they stay in their document, and Pyro's word on all of it."""

import pytest
import torch

from synthetic_worlds import exact
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.hidden_mixture import log_mixture
from synthetic_worlds.pyro_spec import enumerated_log_evidence, enumerated_log_posterior, pyro_model

CLOSE = {"rtol": 0, "atol": 1e-12}
DOCUMENTS = 4000


@pytest.fixture(params=[0, 1])
def world(request):
    return make_world(
        "style", seed=2, order=request.param, concepts=3, styles=3, vocabulary=5, length=8, strength=1.5, zipf=0.5
    )


def related_documents(world, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    concepts = world.sample_concepts(n, generator)
    return [world.sample_given_concepts(concepts, generator) for _ in range(2)]


def test_style_posterior_by_plain_sums(world):
    (d1, d2) = (documents.tokens for documents in related_documents(world, 5))
    joint = torch.zeros(5, world.C, world.Z, dtype=torch.float64)
    for c in range(world.C):
        for z in range(world.Z):
            for row, document in enumerate(d2.tolist()):
                probability, before = world.prior[c] * world.style_prior[z], world.V
                for token in document:
                    row_of_words = before if world.words.shape[2] > 1 else 0
                    probability, before = probability * world.words[c, z, row_of_words, token], token
                joint[row, c, z] = probability
    expected = joint.sum(1) / joint.sum((1, 2))[:, None]
    torch.testing.assert_close(world.style_log_posterior(d2).exp(), expected, **CLOSE)
    belief = exact.concept_log_posterior(world, d1)
    reweighted = joint / world.prior[:, None] * belief.exp()[..., None]
    expected = reweighted.sum(1) / reweighted.sum((1, 2))[:, None]
    torch.testing.assert_close(world.style_log_posterior(d2, belief).exp(), expected, **CLOSE)


def test_the_concept_is_shared_and_the_style_is_not(world):
    d1, d2 = related_documents(world, DOCUMENTS)
    assert torch.equal(d1.latents["concept"], d2.latents["concept"])
    same = (d1.latents["style"] == d2.latents["style"]).double().mean()
    assert abs(same - 1 / world.Z) < 4 * (2 / 9 / DOCUMENTS) ** 0.5


def style_leak(world, d1, d2) -> tuple[float, float]:
    """Covariance of the two documents' style posteriors, and its standard error."""
    p1, p2 = (world.style_log_posterior(tokens).exp() for tokens in (d1, d2))
    products = ((p1 - p1.mean(0)) * (p2 - p2.mean(0))).sum(1)
    return float(products.mean()), float(products.std()) / len(products) ** 0.5


def test_exact_bayes_draws_a_new_style_and_a_shared_style_would_show():
    """At overlap 1 styles are all there is to tell documents apart."""
    world = make_world("style", seed=2, overlap=1.0, strength=1.5)
    generator = torch.Generator().manual_seed(3)
    d1 = world.sample(DOCUMENTS, generator)
    leak, error = style_leak(world, d1.tokens, exact.sample_related(world, generator, d1.tokens))
    assert abs(leak) < 4 * error
    paraphrase = world.sample_given_concepts(d1.latents["concept"], generator, styles=d1.latents["style"])
    assert torch.equal(paraphrase.latents["style"], d1.latents["style"])
    leak, error = style_leak(world, d1.tokens, paraphrase.tokens)
    assert leak > 20 * error


def test_without_strength_styles_say_nothing():
    world = make_world("style", seed=4, strength=0.0)
    tokens = world.sample(50, torch.Generator().manual_seed(0)).tokens
    uniform = torch.full((50, world.Z), 1 / world.Z, dtype=torch.float64)
    torch.testing.assert_close(world.style_log_posterior(tokens).exp(), uniform, **CLOSE)
    bag = BagOfWords(world.prior, world.words[:, 0, 0], world.L)
    torch.testing.assert_close(exact.concept_log_posterior(world, tokens), exact.concept_log_posterior(bag, tokens))
    strong = make_world("style", seed=4, strength=1.0)
    assert (strong.style_log_posterior(tokens).exp() - 1 / world.Z).abs().max() > 0.5


def test_a_style_multiplies_odds_alike_in_every_concept():
    world = make_world("style", seed=4, strength=1.0, concepts=2, styles=2)
    log_odds = world.words[:, 0].log() - world.words[:, 1].log()
    difference = log_odds[0] - log_odds[1]
    torch.testing.assert_close(difference, difference[:, :1].expand(-1, world.V), rtol=0, atol=1e-9)


def test_agrees_with_pyro(world):
    d1, d2 = (documents.tokens for documents in related_documents(world, 4))
    for given in ((d1,), (d1, d2)):
        posterior = exact.concept_log_posterior(world, *given)
        torch.testing.assert_close(posterior, enumerated_log_posterior(world, *given), rtol=0, atol=1e-6)
    evidence = exact.log_evidence(world, d1)
    torch.testing.assert_close(evidence, enumerated_log_evidence(world, d1), rtol=0, atol=1e-6)


def test_the_samplers_log_prob_is_pyros(world):
    import pyro

    documents = world.sample(5, torch.Generator().manual_seed(0))
    values = {"concept": documents.latents["concept"], "d0_style": documents.latents["style"]}
    model = pyro.condition(pyro_model(world, documents.tokens), values)
    expected = pyro.poutine.trace(model).get_trace().log_prob_sum()
    torch.testing.assert_close(documents.log_prob.sum(), expected, rtol=0, atol=1e-6)


def test_a_weight_that_vanishes_still_counts_where_nothing_else_does():
    log_weights = torch.tensor([[0.0, -900.0]], dtype=torch.float64)
    words = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    expected = torch.tensor([[0.0, -900.0 + torch.tensor(0.5).log()]], dtype=torch.float64)
    torch.testing.assert_close(log_mixture(log_weights, words), expected)
    impossible = torch.full((1, 2), -torch.inf, dtype=torch.float64)
    assert (log_mixture(impossible, words) == -torch.inf).all()


def test_a_style_too_improbable_for_float64_can_come_back():
    """300 words rule style 1 out but for 1e-900; then comes a word that only style 1 has."""
    words = torch.tensor([[[[1.0, 0.0]], [[0.001, 0.999]]]], dtype=torch.float64)
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    world = type(make_world("style"))(one, half, words, 301)
    document = torch.tensor([[0] * 300 + [1]])
    expected = torch.tensor([0.5, 0.001, 0.999], dtype=torch.float64).log() @ torch.tensor([1.0, 300, 1]).double()
    tokens = exact.next_token_log_probs(world, document).gather(2, document[..., None])
    by_concept = world.next_token_log_likelihood(document)[:, 0].gather(2, document[..., None])
    for found in (exact.log_evidence(world, document), tokens.sum()[None], by_concept.sum()[None]):
        torch.testing.assert_close(found, expected[None], rtol=1e-11, atol=0)
