"""Exact inference against sums over every document, every concept and all that is hidden, written in plain loops."""

import functools
import itertools

import numpy as np
import pytest
import torch

from synthetic_worlds import exact

TOLERANCE = {"rtol": 0, "atol": 1e-12}


def of_a_bag(world, parameters, document, concept):
    return np.prod([parameters["words"][concept, token] for token in document])


def of_a_style(world, parameters, document, concept):
    words, bigrams = parameters["words"], parameters["words"].shape[2] > 1
    total = 0.0
    for style, probability in enumerate(parameters["style_prior"]):
        for before, token in itertools.pairwise([world.V, *document]):
            probability = probability * words[concept, style, before if bigrams else 0, token]
        total += probability
    return total


def of_a_tree(world, parameters, document, concept):
    levels = range(world.D + 1)
    path = [parameters[f"node_words[{level}]"][concept // world.b ** (world.D - level)] for level in levels]
    words = sum(weight * words for weight, words in zip(parameters["level_weights"], path, strict=True))
    return np.prod([words[token] for token in document])


def of_a_grammar(world, parameters, document, concept):
    rules, words, splits = (parameters[name] for name in ("rules", "words", "splits"))

    @functools.cache
    def inside(symbol, text):
        if len(text) == 1:
            return words[concept, symbol, text[0]]
        total = 0.0
        for k, left, right in itertools.product(range(1, len(text)), range(world.N), range(world.N)):
            rule = splits[len(text), k] * rules[concept, symbol, left, right]
            total += rule * inside(left, text[:k]) * inside(right, text[k:])
        return total

    return inside(0, tuple(document))


def of_a_hidden_markov_model(world, parameters, document, concept):
    initial, transition, emission = (parameters[name][concept] for name in ("initial", "transition", "emission"))
    total = 0.0
    for path in itertools.product(range(world.S), repeat=len(document)):
        steps = [initial[path[0]], *(transition[a, b] for a, b in itertools.pairwise(path))]
        total += np.prod(steps) * np.prod([emission[s, token] for s, token in zip(path, document, strict=True)])
    return total


LIKELIHOODS = {
    "bow": of_a_bag,
    "hmm": of_a_hidden_markov_model,
    "style": of_a_style,
    "tree": of_a_tree,
    "grammar": of_a_grammar,
}


def likelihood(world, document, concept: int) -> float:
    """p(document | concept), summed over styles, paths of states or derivations."""
    parameters = {name: values.numpy() for name, values in world.parameters().items()}
    return LIKELIHOODS[world.name](world, parameters, document, concept)


@pytest.fixture
def table(tiny_world, all_documents):
    """(N, C) p(d | c) for every document."""
    return np.array([[likelihood(tiny_world, d, c) for c in range(tiny_world.C)] for d in all_documents.tolist()])


def test_likelihood_and_evidence(tiny_world, all_documents, table):
    np.testing.assert_allclose(tiny_world.log_likelihood(all_documents).exp(), table, **TOLERANCE)
    np.testing.assert_allclose(tiny_world.token_log_likelihood(all_documents).sum(-1).exp(), table, **TOLERANCE)
    evidence = exact.log_evidence(tiny_world, all_documents).exp()
    np.testing.assert_allclose(evidence, table @ tiny_world.prior.numpy(), **TOLERANCE)
    assert abs(float(evidence.sum()) - 1) < 1e-12


def test_posterior_given_one_and_two_documents(tiny_world, all_documents, table):
    first, second = (index.flatten() for index in torch.meshgrid(*[torch.arange(len(table))] * 2, indexing="ij"))
    for documents, likelihoods in (
        ((all_documents,), table),
        ((all_documents[first], all_documents[second]), table[first] * table[second]),
    ):
        joint = likelihoods * tiny_world.prior.numpy()
        total = joint.sum(1, keepdims=True)
        expected = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
        posterior = exact.concept_log_posterior(tiny_world, *documents)
        np.testing.assert_allclose(posterior.exp(), expected, **TOLERANCE)


def test_predictive_of_every_pair(tiny_world, all_documents, table):
    prior = tiny_world.prior.numpy()
    joint = (table * prior) @ table.T
    evidence = table @ prior
    possible = evidence > 0
    first, second = (index.flatten() for index in torch.meshgrid(*[torch.arange(len(table))] * 2, indexing="ij"))
    predictive = exact.log_predictive(tiny_world, all_documents[second], all_documents[first])
    predictive = predictive.exp().view(joint.shape).numpy()
    np.testing.assert_allclose(predictive[possible], joint[possible] / evidence[possible, None], **TOLERANCE)
    assert (predictive[~possible] == 0).all()


def test_next_token_of_every_pair(tiny_world, all_documents, table):
    """p(x_t = v | d1, x_<t) as the share of all continuations of x_<t that go on with v."""
    prior, documents = tiny_world.prior.numpy(), all_documents.tolist()
    random = np.random.default_rng(0)
    possible = np.flatnonzero(table @ prior > 0)
    for d1 in random.choice(possible, 5):
        weights = table @ (table[d1] * prior)
        given = all_documents[d1].expand(len(documents), -1)
        computed = exact.next_token_log_probs(tiny_world, all_documents, given).exp().numpy()
        for row, document in enumerate(documents):
            for t in range(tiny_world.L):
                prefix = document[:t]
                share = np.zeros(tiny_world.V)
                for weight, other in zip(weights, documents, strict=True):
                    if other[:t] == prefix:
                        share[other[t]] += weight
                total = share.sum()
                np.testing.assert_allclose(computed[row, t], share / total if total > 0 else share * 0, **TOLERANCE)


def test_prefixes_are_documents_too(tiny_world, all_documents):
    """The evidence of a prefix is that of all its continuations together."""
    evidence = exact.log_evidence(tiny_world, all_documents).exp()
    whole = evidence.view(tiny_world.V**2, -1).sum(1)
    prefixes = torch.cartesian_prod(*[torch.arange(tiny_world.V)] * 2)
    np.testing.assert_allclose(exact.log_evidence(tiny_world, prefixes).exp(), whole, **TOLERANCE)


def test_information_by_enumeration(tiny_world, all_documents, table):
    prior = tiny_world.prior.numpy()
    joint = table * prior
    evidence = joint.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nansum(joint * np.log(joint / evidence[:, None]))
        pairs = joint @ table.T
        gain = np.nansum(pairs * np.log(pairs / np.outer(evidence, evidence)))
    figures = exact.information(tiny_world, 20_000, torch.Generator().manual_seed(5))
    assert abs(figures.H_c_given_d1 - entropy) < 4 * figures.H_c_given_d1_se
    assert abs(figures.I_d1_d2 - gain) < 4 * figures.I_d1_d2_se
    assert abs(figures.I_c_d1 - (figures.H_c - entropy)) < 4 * figures.I_c_d1_se
    assert figures.H_c_given_d1_se < 0.01
