"""Samplers draw what the densities say, and the check that says so fails on a sampler that is slightly wrong."""

import pytest
import torch
from scipy.stats import chi2

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.categorical import cumulative, draw
from synthetic_worlds.world import WorldError

DRAWS = 40_000
REJECT_BELOW = 1e-4


def goodness_of_fit(world, tokens, probabilities) -> float:
    """p-value of Pearson's chi-square for sampled documents (n, L) against (V ** L,) document probabilities."""
    place = world.V ** torch.arange(world.L - 1, -1, -1)
    counts = torch.bincount((tokens * place).sum(1), minlength=world.V**world.L).double()
    assert (counts[probabilities == 0] == 0).all(), "an impossible document was drawn"
    expected = len(tokens) * probabilities
    common = expected >= 5
    observed = torch.cat([counts[common], counts[~common].sum()[None]])
    expected = torch.cat([expected[common], expected[~common].sum().clamp_min(1e-9)[None]])
    return float(chi2.sf(float(((observed - expected) ** 2 / expected).sum()), len(observed) - 1))


def test_documents_follow_the_evidence(tiny_world, all_documents):
    evidence = exact.log_evidence(tiny_world, all_documents).exp()
    documents = tiny_world.sample(DRAWS, torch.Generator().manual_seed(0))
    assert goodness_of_fit(tiny_world, documents.tokens, evidence) > REJECT_BELOW


@pytest.mark.parametrize(
    "name, wrong",
    [(name, wrong) for name in ("bow", "hmm", "style", "tree", "grammar") for wrong in ("concepts", "words")]
    + [(name, "order") for name in ("hmm", "style", "grammar")],
)
def test_a_perturbed_sampler_is_caught(name, wrong):
    generator = torch.Generator().manual_seed(0)
    dials = {"branching": 2, "levels": 2} if name == "tree" else {"concepts": 3}
    dials |= {"style": {"order": 1}, "grammar": {"word_overlap": 0.1}}.get(name, {})
    world = make_world(name, seed=3, overlap=0.1, vocabulary=3, length=4, **dials)
    all_documents = torch.cartesian_prod(*[torch.arange(world.V)] * world.L)
    concepts = world.sample_concepts(DRAWS, generator)
    if wrong == "concepts":
        concepts[: DRAWS // 10] = 0
    tokens = world.sample_given_concepts(concepts, generator).tokens
    if wrong == "words":
        tokens[: DRAWS // 20, 0] = 1
    if wrong == "order":
        tokens = tokens.flip(1)
    evidence = exact.log_evidence(world, all_documents).exp()
    assert goodness_of_fit(world, tokens, evidence) < REJECT_BELOW


def test_related_documents_follow_the_predictive(tiny_world, all_documents):
    generator = torch.Generator().manual_seed(1)
    given = tiny_world.sample(2, generator).tokens
    for row in given:
        first = row.expand(DRAWS, -1)
        d2 = exact.sample_related(tiny_world, generator, first)
        predictive = exact.log_predictive(tiny_world, all_documents, row.expand(len(all_documents), -1)).exp()
        assert goodness_of_fit(tiny_world, d2, predictive) > REJECT_BELOW


def test_related_documents_do_not_follow_the_evidence(positive_world):
    """The check above can tell a document drawn given d1 from one that ignores it."""
    generator = torch.Generator().manual_seed(1)
    world = positive_world
    all_documents = torch.cartesian_prod(*[torch.arange(world.V)] * world.L)
    d1 = world.sample(1, generator).tokens.expand(DRAWS, -1)
    d2 = exact.sample_related(world, generator, d1)
    assert goodness_of_fit(world, d2, exact.log_evidence(world, all_documents).exp()) < REJECT_BELOW


def test_log_prob_is_the_joint_with_the_latents(tiny_world):
    """In a bag of words that is pi_c p(d | c); summed over the paths of states it is too."""
    documents = tiny_world.sample(500, torch.Generator().manual_seed(2))
    concept = documents.latents["concept"]
    joint = tiny_world.log_prior[concept] + tiny_world.log_likelihood(documents.tokens)[range(500), concept]
    if tiny_world.name == "bow":
        torch.testing.assert_close(documents.log_prob, joint)
    else:
        assert (documents.log_prob <= joint + 1e-12).all()
        assert torch.isfinite(documents.log_prob).all()


def test_given_concepts_are_kept_and_seeds_repeat(positive_world):
    concepts = torch.tensor([2, 0, 1])
    one, two = (positive_world.sample(3, torch.Generator().manual_seed(7), concepts) for _ in range(2))
    assert torch.equal(one.latents["concept"], concepts) and torch.equal(one.tokens, two.tokens)
    assert one.tokens.dtype == torch.int64 and one.tokens.shape == (3, positive_world.L)
    with pytest.raises(WorldError, match="3 concepts given for 4 documents"):
        positive_world.sample(4, torch.Generator(), concepts)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_impossible_outcomes_are_never_drawn(uniform, monkeypatch):
    """Not even at the ends of the unit interval and at the seams, nor where rows don't quite sum to one."""
    rows = [[0.0, 0.5, 0.0, 0.5 - 1e-15, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0, 0.0]]
    probabilities = torch.tensor(rows, dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, uniform, dtype=torch.float64))
    drawn = draw(cumulative(probabilities), 1, torch.Generator())
    assert (probabilities.gather(1, drawn) > 0).all()
