"""Laws of probability in worlds drawn at random: chain rule, Bayes, normalisation, exchangeability, relabelling."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world

QUICK = settings(deadline=None, max_examples=40)
CLOSE = {"rtol": 1e-11, "atol": 1e-11}


CONCENTRATIONS = st.sampled_from([0.1, 0.5, 3.0])
OWN_DIALS = {
    "bow": {"concepts": st.integers(1, 6), "concentration": CONCENTRATIONS},
    "hmm": {"concepts": st.integers(1, 6), "concentration": CONCENTRATIONS, "states": st.integers(1, 4)},
    "style": {
        "concepts": st.integers(1, 6),
        "concentration": CONCENTRATIONS,
        "styles": st.integers(1, 4),
        "strength": st.sampled_from([0.0, 1.0, 3.0]),
        "order": st.integers(0, 1),
    },
    "tree": {
        "branching": st.integers(1, 3),
        "levels": st.integers(1, 3),
        "fineness": st.sampled_from([0.0, 0.5, 2.0]),
        "concentration": CONCENTRATIONS,
    },
    "grammar": {
        "concepts": st.integers(1, 4),
        "symbols": st.integers(1, 3),
        "word_overlap": st.sampled_from([0.0, 0.5, 1.0]),
        "word_concentration": CONCENTRATIONS,
        "rule_concentration": CONCENTRATIONS,
        "balance": st.sampled_from([0.0, 2.0, 1000.0]),
    },
}
OF_CONCEPTS = {  # parameters whose first axis is the concept; a tree's are in its shape
    "bow": ("prior", "words"),
    "hmm": ("prior", "initial", "transition", "emission"),
    "style": ("prior", "words"),
    "grammar": ("prior", "rules", "words"),
}


@st.composite
def worlds(draw, names=tuple(OWN_DIALS)):
    name = draw(st.sampled_from(names))
    dials = {
        "overlap": draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])),
        "vocabulary": draw(st.integers(2, 7)),
        "length": draw(st.integers(2 if name == "grammar" else 1, 12)),
        "zipf": draw(st.sampled_from([0.0, 1.0])),
        **{dial: draw(values) for dial, values in OWN_DIALS[name].items()},
    }
    return make_world(name, seed=draw(st.integers(0, 10_000)), **dials)


def documents(world, seed: int, count: int, n: int = 6):
    """``count`` documents for each of ``n`` rows, any tokens: likely, unlikely or impossible."""
    generator = torch.Generator().manual_seed(seed)
    related = [world.sample(n, generator).tokens for _ in range(count)]
    for tokens in related:
        tokens[0] = torch.randint(world.V, (world.L,), generator=generator)
    return related


def relabelled(world, concepts=None, words=None):
    """The same world with its concepts or its words in another order."""
    parameters = world.parameters()
    if concepts is not None:
        parameters |= {name: parameters[name][concepts] for name in OF_CONCEPTS[world.name]}
    if words is not None and world.name == "tree":
        node_words = tuple(values[:, words] for values in world.node_words)
        return dataclasses.replace(world, node_words=node_words, seed=None)
    if words is not None:
        name = "emission" if world.name == "hmm" else "words"
        parameters[name] = parameters[name][..., words]
        if world.name == "style" and len(parameters[name][0, 0]) > 1:  # rows are named by the word before
            parameters[name] = parameters[name][:, :, torch.cat([words, torch.tensor([world.V])])]
    return dataclasses.replace(world, **parameters, seed=None)


@QUICK
@given(worlds(), st.integers(0, 1000))
def test_chain_rule_over_tokens(world, seed):
    d1, d2 = documents(world, seed, 2)
    tokens = exact.next_token_log_probs(world, d2, d1).gather(2, d2[..., None])[..., 0].sum(1)
    torch.testing.assert_close(tokens, exact.log_predictive(world, d2, d1), **CLOSE)


@QUICK
@given(worlds(), st.integers(0, 1000))
def test_next_tokens_are_normalised_and_agree_with_the_primitive(world, seed):
    d1, d2 = documents(world, seed, 2)
    computed = exact.next_token_log_probs(world, d2, d1)
    torch.testing.assert_close(computed.logsumexp(-1), torch.zeros(d2.shape, dtype=torch.float64), **CLOSE)
    by_concept = world.next_token_log_likelihood(d2)
    torch.testing.assert_close(
        by_concept.gather(3, d2[:, None, :, None].expand(-1, world.C, -1, -1))[..., 0],
        world.token_log_likelihood(d2),
        **CLOSE,
    )


@QUICK
@given(worlds(), st.integers(0, 1000))
def test_bayes_rule(world, seed):
    """p(c | d1) p(d1) = pi_c p(d1 | c), and p(d2 | d1) is the posterior's average of p(d2 | c)."""
    d1, d2 = documents(world, seed, 2)
    posterior = exact.concept_log_posterior(world, d1)
    joint = world.log_prior + world.log_likelihood(d1)
    torch.testing.assert_close(posterior + exact.log_evidence(world, d1)[:, None], joint, **CLOSE)
    torch.testing.assert_close(posterior.exp().sum(1), torch.ones(len(d1), dtype=torch.float64), **CLOSE)
    average = (posterior + world.log_likelihood(d2)).logsumexp(1)
    torch.testing.assert_close(exact.log_predictive(world, d2, d1), average, **CLOSE)


@QUICK
@given(worlds(), st.integers(0, 1000))
def test_exchangeable_documents(world, seed):
    d1, d2, d3 = documents(world, seed, 3)
    forth = exact.log_evidence(world, d1) + exact.log_predictive(world, d2, d1)
    back = exact.log_evidence(world, d2) + exact.log_predictive(world, d1, d2)
    torch.testing.assert_close(forth, back, **CLOSE)
    torch.testing.assert_close(
        exact.concept_log_posterior(world, d1, d2, d3), exact.concept_log_posterior(world, d3, d1, d2), **CLOSE
    )


@QUICK
@given(worlds(names=tuple(OF_CONCEPTS)), st.integers(0, 1000))
def test_relabelling_concepts(world, seed):
    d1, d2 = documents(world, seed, 2)
    order = torch.randperm(world.C, generator=torch.Generator().manual_seed(seed))
    other = relabelled(world, concepts=order)
    torch.testing.assert_close(exact.log_predictive(other, d2, d1), exact.log_predictive(world, d2, d1), **CLOSE)
    posterior = exact.concept_log_posterior(world, d1)[:, order]
    torch.testing.assert_close(exact.concept_log_posterior(other, d1), posterior, **CLOSE)


@QUICK
@given(worlds(), st.integers(0, 1000))
def test_relabelling_words(world, seed):
    """A world whose word i is the old word order[i] gives the renamed documents the same probabilities."""
    d1, d2 = documents(world, seed, 2)
    order = torch.randperm(world.V, generator=torch.Generator().manual_seed(seed))
    names = order.argsort()
    other = relabelled(world, words=order)
    torch.testing.assert_close(
        exact.next_token_log_probs(other, names[d2], names[d1]),
        exact.next_token_log_probs(world, d2, d1)[..., order],
        **CLOSE,
    )


@QUICK
@given(worlds(names=("bow", "tree")), st.integers(0, 1000))
def test_word_order_does_not_matter_in_a_bag(world, seed):
    (d1,) = documents(world, seed, 1)
    order = torch.randperm(world.L, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        exact.concept_log_posterior(world, d1[:, order]), exact.concept_log_posterior(world, d1), **CLOSE
    )


@pytest.mark.parametrize("name, dials", [("hmm", {}), ("style", {"order": 1}), ("grammar", {})])
def test_word_order_matters_elsewhere(name, dials):
    world = make_world(name, "medium", **dials)
    d1 = world.sample(20, torch.Generator().manual_seed(0)).tokens
    assert (exact.log_evidence(world, d1) - exact.log_evidence(world, d1.flip(1))).abs().median() > 0.1


def test_chunks_change_nothing(positive_world, monkeypatch):
    d1, d2 = documents(positive_world, 0, 2, n=11)
    whole = exact.next_token_log_probs(positive_world, d2, d1), exact.concept_log_posterior(positive_world, d1)
    monkeypatch.setattr("synthetic_worlds.world.CHUNK_ELEMENTS", 24)
    monkeypatch.setattr("synthetic_worlds.hmm_forward.CHUNK_ELEMENTS", 24)
    monkeypatch.setattr("synthetic_worlds.inside.CHUNK_ELEMENTS", 24)
    assert positive_world.chunk < 4
    parts = exact.next_token_log_probs(positive_world, d2, d1), exact.concept_log_posterior(positive_world, d1)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


def test_information_uses_every_pair_whatever_the_chunks(positive_world, monkeypatch):
    whole = exact.information(positive_world, 1000, torch.Generator().manual_seed(0))
    monkeypatch.setattr("synthetic_worlds.world.CHUNK_ELEMENTS", 24)
    parts = exact.information(positive_world, 1000, torch.Generator().manual_seed(0))
    assert parts.n == whole.n == 1000
    assert abs(parts.I_d1_d2_se / whole.I_d1_d2_se - 1) < 0.2


def test_no_documents_at_all(positive_world):
    none = torch.empty(0, positive_world.L, dtype=torch.int64)
    assert exact.concept_log_posterior(positive_world, none).shape == (0, positive_world.C)
    assert exact.next_token_log_probs(positive_world, none, none).shape == (0, positive_world.L, positive_world.V)
