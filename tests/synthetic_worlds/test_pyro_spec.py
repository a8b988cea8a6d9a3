"""Each world against its Pyro model, every latent variable summed out by Pyro."""

import pytest
import torch

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pyro_spec import enumerated_log_evidence, enumerated_log_posterior, pyro_model

CLOSE = {"rtol": 0, "atol": 1e-6}
DOCUMENTS = 5


@pytest.fixture(params=["bow", "hmm"])
def world(request):
    return make_world(request.param, seed=1, concepts=4, vocabulary=5, length=6, zipf=0.5)


@pytest.fixture
def related(world):
    generator = torch.Generator().manual_seed(0)
    concepts = world.sample_concepts(DOCUMENTS, generator)
    return [world.sample_given_concepts(concepts, generator).tokens for _ in range(3)]


def test_posterior(world, related):
    for m in (1, 2, 3):
        expected = enumerated_log_posterior(world, *related[:m])
        torch.testing.assert_close(exact.concept_log_posterior(world, *related[:m]), expected, **CLOSE)


def test_evidence_and_predictive(world, related):
    d1, d2, _ = related
    evidence = enumerated_log_evidence(world, d1)
    torch.testing.assert_close(exact.log_evidence(world, d1), evidence, **CLOSE)
    together = enumerated_log_evidence(world, d1, d2)
    torch.testing.assert_close(exact.log_predictive(world, d2, d1), together - evidence, **CLOSE)


def test_next_token(world, related):
    """p(x_t = v | d1, x_<t) from Pyro's evidence of d1 with each one-token continuation."""
    d1, d2 = (document[:1] for document in related[:2])
    t = 3
    with_each = []
    for v in range(world.V):
        prefix = torch.cat([d2[:, :t], torch.tensor([[v]])], 1)
        posterior = enumerated_log_posterior(world, d1)[0].exp()
        reweighted = type(world)(**{**world.parameters(), "prior": posterior}, length=t + 1)
        with_each.append(enumerated_log_evidence(reweighted, prefix))
    expected = torch.log_softmax(torch.cat(with_each), 0)
    torch.testing.assert_close(exact.next_token_log_probs(world, d2, d1)[0, t], expected, **CLOSE)


def test_the_samplers_log_prob_is_pyros(world):
    import pyro

    documents = world.sample(DOCUMENTS, torch.Generator().manual_seed(0))
    values = {"concept": documents.latents["concept"]}
    for name, latent in documents.latents.items():
        if name == "states":
            values |= {f"d0_state{t}": latent[:, t] for t in range(world.L)}
    model = pyro.condition(pyro_model(world, documents.tokens), values)
    torch.testing.assert_close(documents.log_prob.sum(), pyro.poutine.trace(model).get_trace().log_prob_sum(), **CLOSE)


def test_pyro_generates_documents_of_the_world(world):
    import pyro

    pyro.set_rng_seed(0)
    trace = pyro.poutine.trace(pyro_model(world, n=3000)).get_trace()
    sites = [site["value"] for name, site in trace.nodes.items() if name == "d0" or name.startswith("d0_token")]
    tokens = sites[0] if len(sites) == 1 else torch.stack(sites, 1)
    assert tokens.shape == (3000, world.L)
    ours = world.sample(3000, torch.Generator().manual_seed(0)).tokens
    difference = exact.log_evidence(world, tokens).mean() - exact.log_evidence(world, ours).mean()
    assert abs(difference) < 4 * exact.log_evidence(world, ours).std() * (2 / 3000) ** 0.5
