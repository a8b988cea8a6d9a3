"""The concept tree: belief propagation against plain sums, documents related to a depth, Pyro."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.pyro_spec import enumerated_log_evidence, enumerated_log_posterior, pyro_model
from synthetic_worlds.tree_propagation import downward, leaf_log_prior, upward

CLOSE = {"rtol": 0, "atol": 1e-12}
QUICK = settings(deadline=None, max_examples=25)


def tree(seed=1, **dials):
    settings = {"branching": 2, "levels": 3, "vocabulary": 4, "length": 6, "zipf": 0.8}
    return make_world("tree", seed=seed, **{**settings, **dials})


@pytest.fixture
def world():
    return tree()


def pairs_sharing(world, depth):
    """Plainly, every pair of leaves with its probability when the first ``depth`` levels are shared."""
    for first, second in itertools.product(range(world.C), repeat=2):
        below = world.b ** (world.D - depth)
        if first // below == second // below:
            node = world.prior[first // below * below : (first // below + 1) * below].sum()
            yield first, second, float(world.prior[first] * world.prior[second] / node)


@QUICK
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_propagation_by_plain_sums(branching, levels, seed):
    world = tree(seed, branching=branching, levels=levels)
    d1, d2 = (world.sample(3, torch.Generator().manual_seed(seed)).tokens for _ in range(2))
    beliefs = world.level_log_posteriors([d1, d2])
    leaves = exact.concept_log_posterior(world, d1, d2).exp()
    assert len(beliefs) == levels + 1
    for level, belief in enumerate(beliefs):
        expected = leaves.reshape(3, branching**level, -1).sum(2)
        torch.testing.assert_close(belief.exp(), expected, **CLOSE)


def test_a_document_related_to_a_depth_is_evidence_for_that_level(world):
    d1, d2 = (world.sample(4, torch.Generator().manual_seed(s)).tokens for s in (0, 1))
    p1, p2 = (world.log_likelihood(tokens).exp() for tokens in (d1, d2))
    for depth in range(world.D + 1):
        expected = torch.zeros(4, world.C, dtype=torch.float64)
        for first, second, probability in pairs_sharing(world, depth):
            expected[:, first] += probability * p1[:, first] * p2[:, second]
        expected /= expected.sum(1, keepdim=True)
        found = world.level_log_posteriors([d1, d2], [world.D, depth])
        torch.testing.assert_close(found[-1].exp(), expected, **CLOSE)
        torch.testing.assert_close(found[1].exp(), expected.reshape(4, world.b, -1).sum(2), **CLOSE)


def test_graded_predictive_by_plain_sums(world):
    """p(d2 | d1) when they share a prefix of a random depth."""
    d1, d2 = (world.sample(4, torch.Generator().manual_seed(s)).tokens for s in (0, 1))
    depths = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    p1, p2 = (world.log_likelihood(tokens).exp() for tokens in (d1, d2))
    joint = torch.zeros(4, dtype=torch.float64)
    for depth in range(world.D + 1):
        for first, second, probability in pairs_sharing(world, depth):
            joint += depths[depth] * probability * p1[:, first] * p2[:, second]
    belief = world.graded_belief(exact.concept_log_posterior(world, d1), depths)
    found = world.update_belief(belief, d2)[1]
    torch.testing.assert_close(found, (joint / (p1 @ world.prior)).log(), **CLOSE)
    tokens = world.predict_tokens(belief, d2).gather(2, d2[..., None])[..., 0].sum(1)
    torch.testing.assert_close(tokens, found, **CLOSE)


def test_depth_posterior_by_plain_sums(world):
    d1, d2 = (world.sample(4, torch.Generator().manual_seed(s)).tokens for s in (0, 1))
    depths = torch.tensor([0.1, 0.2, 0.0, 0.7], dtype=torch.float64)
    p1, p2 = (world.log_likelihood(tokens).exp() for tokens in (d1, d2))
    joint = torch.zeros(4, world.D + 1, dtype=torch.float64)
    for depth in range(world.D + 1):
        for first, second, probability in pairs_sharing(world, depth):
            joint[:, depth] += depths[depth] * probability * p1[:, first] * p2[:, second]
    found = world.depth_log_posterior(d1, d2, depths)
    torch.testing.assert_close(found.exp(), joint / joint.sum(1, keepdim=True), **CLOSE)


def test_the_ends_of_depth_are_the_same_concept_and_no_relation(world):
    d1 = world.sample(5, torch.Generator().manual_seed(0)).tokens
    belief = exact.concept_log_posterior(world, d1)
    one = torch.eye(world.D + 1, dtype=torch.float64)
    torch.testing.assert_close(world.graded_belief(belief, one[world.D]), belief, **CLOSE)
    torch.testing.assert_close(world.graded_belief(belief, one[0]), world.prior_belief(5), **CLOSE)


@pytest.mark.parametrize("depth", range(4))
def test_related_concepts_follow_their_law(world, depth):
    n = 40_000
    generator = torch.Generator().manual_seed(depth)
    first = world.sample_concepts(n, generator)
    second = world.related_concepts(first, depth, generator)
    counts = torch.zeros(world.C, world.C, dtype=torch.float64).index_put_(
        (first, second), torch.ones(n, dtype=torch.float64), accumulate=True
    )
    expected = torch.zeros_like(counts)
    for a, b, probability in pairs_sharing(world, depth):
        expected[a, b] = n * probability
    assert (counts[expected == 0] == 0).all()
    error = (expected * (1 - expected / n)).sqrt().clamp_min(1e-9)
    assert ((counts - expected).abs() < 4.5 * error)[expected > 0].all()


def test_each_row_may_have_a_depth_of_its_own(world):
    generator = torch.Generator().manual_seed(0)
    first = world.sample_concepts(500, generator)
    depth = torch.arange(500) % (world.D + 1)
    second = world.related_concepts(first, depth, generator)
    kept = world.ancestors(first) == world.ancestors(second)
    for level in range(world.D + 1):
        assert kept[depth >= level, level].all()
    assert not kept[depth == 0, 1].all()


def test_coarse_levels_are_known_first(world):
    world = make_world("tree", "medium")
    beliefs = world.level_log_posteriors([world.sample(500, torch.Generator().manual_seed(0)).tokens])
    entropy = [float(torch.special.entr(belief.exp()).sum(1).mean()) for belief in beliefs]
    prior = [level * torch.tensor(float(world.b)).log().item() for level in range(world.D + 1)]
    left = [now - before for now, before in zip(entropy[1:], entropy, strict=False)]
    assert entropy[0] == 0 and left[0] < left[1] < left[2] < prior[1]


def test_latents_tell_path_and_levels(world):
    documents = world.sample(200, torch.Generator().manual_seed(0))
    concept, path, levels = (documents.latents[name] for name in ("concept", "path", "levels"))
    assert torch.equal(path[:, -1], concept) and torch.equal(path[:, 0], concept // world.b ** (world.D - 1))
    nodes = world.ancestors(concept).gather(1, levels)
    log_prob = world.log_prior[concept]
    for t in range(world.L):
        for level, words in enumerate(world.node_words):
            here = levels[:, t] == level
            chosen = world.level_weights[level] * words[nodes[here, t], documents.tokens[here, t]]
            log_prob = log_prob.index_add(0, here.nonzero()[:, 0], chosen.log())
    torch.testing.assert_close(documents.log_prob, log_prob)


def test_agrees_with_pyro():
    import pyro

    world = tree(levels=2, length=4)
    documents = world.sample(4, torch.Generator().manual_seed(0))
    d1, d2 = documents.tokens, documents.tokens.flip(0)
    for documents_read in ((d1,), (d1, d2)):
        posterior = exact.concept_log_posterior(world, *documents_read)
        torch.testing.assert_close(posterior, enumerated_log_posterior(world, *documents_read), rtol=0, atol=1e-6)
    torch.testing.assert_close(exact.log_evidence(world, d1), enumerated_log_evidence(world, d1), rtol=0, atol=1e-6)
    values = {f"d0_level{t}": documents.latents["levels"][:, t] for t in range(world.L)}
    model = pyro.condition(pyro_model(world, d1), values | {"concept": documents.latents["concept"]})
    expected = pyro.poutine.trace(model).get_trace().log_prob_sum()
    torch.testing.assert_close(documents.log_prob.sum(), expected, rtol=0, atol=1e-6)


def test_impossible_evidence_leaves_no_belief_at_any_level():
    log_branches = [torch.tensor([[0.5, 0.5]], dtype=torch.float64).log(), torch.zeros(2, 1, dtype=torch.float64)]
    nothing = torch.full((1, 2), -torch.inf, dtype=torch.float64)
    some = torch.tensor([[-torch.inf, -5.0]], dtype=torch.float64)
    for evidence, expected in ((nothing, [-torch.inf] * 2), (some, [-torch.inf, 0.0])):
        beliefs = downward(log_branches, upward(log_branches, {2: evidence}))
        assert all(belief[0].tolist() == expected for belief in beliefs[1:])
    assert leaf_log_prior(log_branches, 1).shape == (2, 1)


def test_wrong_depths_and_sizes_are_refused(world):
    with pytest.raises(WorldError, match="depth 4: expected 0 to 3"):
        world.related_concepts(torch.tensor([0]), 4, torch.Generator())
    with pytest.raises(WorldError, match="rows that sum to one"):
        world.graded_belief(world.prior_belief(1), torch.tensor([0.5, 0.4, 0.0, 0.0], dtype=torch.float64))
    with pytest.raises(WorldError, match=r"depths of shape \(2,\); expected \(4,\)"):
        world.graded_belief(world.prior_belief(1), torch.tensor([0.5, 0.5], dtype=torch.float64))
    with pytest.raises(WorldError, match="at most 4096 concepts"):
        make_world("tree", branching=17, levels=3)
