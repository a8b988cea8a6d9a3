"""Every registered world against its Pyro model, given the concept: all else that is hidden is summed out by Pyro."""

import pytest
import torch

from synthetic_worlds import exact
from synthetic_worlds.catalogue import WORLDS, make_world
from synthetic_worlds.pyro_spec import enumerated_log_evidence, pyro_model
from synthetic_worlds.world import ConceptWorld

SMALL = {
    "bow": {"concepts": 3, "vocabulary": 4, "length": 5, "zipf": 0.5},
    "polya": {"components": 2, "vocabulary": 4, "length": 5},
    "lda": {"topics": 3, "vocabulary": 4, "length": 4},
    "hmm": {"concepts": 3, "states": 3, "vocabulary": 4, "length": 5, "zipf": 0.5},
    "style": {"concepts": 3, "styles": 2, "vocabulary": 4, "length": 5, "zipf": 0.5},
    "tree": {"branching": 2, "levels": 2, "vocabulary": 4, "length": 4, "zipf": 0.5},
    "narration": {"attributes": 3, "values": 2, "sentences": 2, "templates": 2},
    "grammar": {"concepts": 3, "symbols": 2, "vocabulary": 3, "length": 4},
    "gaussian": {},
}
ROWS = 4


@pytest.fixture(params=list(WORLDS))
def world(request):
    return make_world(request.param, seed=1, **SMALL[request.param])


def log_prob_given_concepts(world, concepts, documents):
    """(B,) by Pyro: log p(d, c) with other latents summed out, less log p(c); a row at a time."""
    import pyro
    from pyro.infer import TraceEnum_ELBO

    found = []
    for i in range(len(documents)):
        model = pyro.condition(pyro_model(world, documents[i : i + 1]), {"concept": concepts[i : i + 1]})
        joint = -TraceEnum_ELBO(max_plate_nesting=1, strict_enumeration_warning=False).loss(model, lambda: None)
        prior = pyro.poutine.trace(pyro.condition(pyro_model(world, n=1), {"concept": concepts[i : i + 1]})).get_trace()
        prior.compute_log_prob(lambda name, site: name == "concept")
        found.append(joint - float(prior.nodes["concept"]["log_prob_sum"]))
    return torch.tensor(found, dtype=torch.float64)


def test_documents_given_their_concept(world):
    documents = world.sample(ROWS, torch.Generator().manual_seed(0))
    concepts = documents.latents["concept"]
    ours = world.log_prob_given_concepts(concepts, documents.tokens)
    pyros = log_prob_given_concepts(world, concepts, documents.tokens)
    torch.testing.assert_close(ours, pyros, rtol=0, atol=1e-6)
    shifted = log_prob_given_concepts(world, concepts.roll(1, 0), documents.tokens)
    torch.testing.assert_close(
        world.log_prob_given_concepts(concepts.roll(1, 0), documents.tokens), shifted, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("name", [name for name, world in WORLDS.items() if issubclass(world, ConceptWorld)])
def test_evidence_where_concepts_are_finitely_many(name):
    """The other worlds' own tests integrate or sum their concepts out."""
    world = make_world(name, seed=1, **SMALL[name])
    documents = world.sample(ROWS, torch.Generator().manual_seed(0)).tokens
    expected = enumerated_log_evidence(world, documents)
    torch.testing.assert_close(exact.log_evidence(world, documents), expected, rtol=0, atol=1e-6)
