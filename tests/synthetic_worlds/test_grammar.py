"""The concept-tilted grammar: prefix probabilities, derivations, the log-space rescue, Pyro."""

import pytest
import torch

from synthetic_worlds import exact, inside
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.grammar import ConceptGrammar, split_probabilities
from synthetic_worlds.pyro_spec import enumerated_log_evidence, enumerated_log_posterior, pyro_model

CLOSE = {"rtol": 1e-11, "atol": 1e-11}


def small(**dials):
    settings = {"concepts": 2, "symbols": 2, "vocabulary": 2, "length": 7, "word_overlap": 0.5, "zipf": 0.5}
    return make_world("grammar", seed=2, **{**settings, **dials})


@pytest.mark.parametrize("balance", [0.0, 3.0])
def test_a_prefix_is_as_likely_as_all_its_continuations(balance):
    """Every position of every document of seven words; evidence of whole documents is tested by brute force."""
    world = small(balance=balance)
    whole = torch.cartesian_prod(*[torch.arange(world.V)] * world.L)
    likelihood = world.log_likelihood(whole).exp()
    for n in range(1, world.L + 1):
        prefixes = torch.cartesian_prod(*[torch.arange(world.V)] * n).view(-1, n)
        expected = likelihood.view(len(prefixes), -1, world.C).sum(1)
        found = world.token_log_likelihood(prefixes).sum(2).exp()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(likelihood.sum(0), torch.ones(world.C, dtype=torch.float64), rtol=0, atol=1e-12)


def test_log_space_gives_the_same(monkeypatch):
    world = make_world("grammar", "medium", length=9, concepts=4)
    tokens = world.sample(20, torch.Generator().manual_seed(0)).tokens
    plain = inside.preterminal_log_weights(world.grammars, tokens)
    monkeypatch.setattr(inside, "SAFE", 2.0)
    torch.testing.assert_close(inside.preterminal_log_weights(world.grammars, tokens), plain, **CLOSE)


def test_improbable_is_not_impossible():
    """31 words that symbol 0 emits with probability 1e-12 each, then one that no other symbol has: 1e-372."""
    rules = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
    rules[0, 0, 0, 0] = rules[0, 1, 1, 1] = 1.0
    words = torch.tensor([[[1e-12, 1 - 1e-12], [1.0, 0.0]]], dtype=torch.float64)
    world = ConceptGrammar(torch.ones(1, dtype=torch.float64), rules, words, split_probabilities(32, 0.0))
    document = torch.tensor([[0] * 31 + [1]])
    expected = 31 * torch.tensor([1e-12], dtype=torch.float64).log()
    torch.testing.assert_close(exact.log_evidence(world, document), expected, **CLOSE)
    tokens = exact.next_token_log_probs(world, document).gather(2, document[..., None]).sum()
    torch.testing.assert_close(tokens[None], expected, **CLOSE)
    only_the_other = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    words = torch.stack([words[0], torch.cat([only_the_other, words[0, 1:]])])
    two = torch.tensor([0.5, 0.5], dtype=torch.float64)
    mixed = ConceptGrammar(two, rules.expand(2, -1, -1, -1).contiguous(), words, split_probabilities(32, 0.0))
    assert exact.concept_log_posterior(mixed, document)[0].tolist() == [0.0, -torch.inf]


def derivation(symbols, covered, start=0):
    """Nested (symbol, children) from the two latents, and where it ends."""
    if covered[start] == 1:
        return (symbols[start], None, None, 1), start + 1
    left, middle = derivation(symbols, covered, start + 1)
    right, end = derivation(symbols, covered, middle)
    return (symbols[start], left, right, covered[start]), end


def log_probability(world, concept, tree, words):
    """Log-probability of a derivation, and the words it leaves over."""
    symbol, left, right, n = tree
    if n == 1:
        return float(world.words[concept, symbol, words[0]].log()), words[1:]
    rule = world.rules[concept, symbol, left[0], right[0]] * world.splits[n, left[3]]
    (of_left, words), total = log_probability(world, concept, left, words), float(rule.log())
    of_right, words = log_probability(world, concept, right, words)
    return total + of_left + of_right, words


def test_latents_are_a_derivation_with_the_stated_probability():
    world = make_world("grammar", "easy", length=9)
    documents = world.sample(30, torch.Generator().manual_seed(1))
    for row in range(30):
        concept, symbols, covered = (
            documents.latents[name][row].tolist() for name in ("concept", "symbols", "covered")
        )
        tree, end = derivation(symbols, covered)
        assert symbols[0] == 0 and covered[0] == world.L and end == 2 * world.L - 1
        log_prob, left_over = log_probability(world, concept, tree, documents.tokens[row].tolist())
        assert not left_over
        assert documents.log_prob[row].item() == pytest.approx(log_prob + float(world.log_prior[concept]), abs=1e-9)


def test_at_high_balance_every_derivation_has_the_same_shape():
    world = make_world("grammar", length=8, balance=1000.0)
    covered = world.sample(300, torch.Generator().manual_seed(0)).latents["covered"]
    balanced = torch.tensor([8, 4, 2, 1, 1, 2, 1, 1, 4, 2, 1, 1, 2, 1, 1])
    assert (covered == balanced).all()
    free = make_world("grammar", length=8).sample(300, torch.Generator().manual_seed(0)).latents["covered"]
    assert (free == balanced).all(1).double().mean() < 0.1


def test_with_shared_words_concepts_differ_in_structure_alone():
    world = make_world("grammar", "medium")
    torch.testing.assert_close(world.words, world.words[:1].expand(world.C, -1, -1))
    assert (world.rules[0] - world.rules[1]).abs().max() > 0.1
    spoken = make_world("grammar", overlap=1.0, word_overlap=0.3)
    torch.testing.assert_close(spoken.rules, spoken.rules[:1].expand(spoken.C, -1, -1, -1))
    assert exact.information(spoken, 100, torch.Generator().manual_seed(0)).I_c_d1 > 0.5


def test_agrees_with_pyro():
    import pyro

    world = small(length=4, symbols=3, vocabulary=3)
    documents = world.sample(4, torch.Generator().manual_seed(0))
    d1 = documents.tokens
    expected = enumerated_log_posterior(world, d1)
    torch.testing.assert_close(exact.concept_log_posterior(world, d1), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(exact.log_evidence(world, d1), enumerated_log_evidence(world, d1), rtol=0, atol=1e-6)
    short = small(length=3)
    d1, d2 = (short.sample(4, torch.Generator().manual_seed(seed)).tokens for seed in (0, 1))
    expected = enumerated_log_posterior(short, d1, d2)
    torch.testing.assert_close(exact.concept_log_posterior(short, d1, d2), expected, rtol=0, atol=1e-6)
    generated = pyro.poutine.trace(pyro_model(world, n=7)).get_trace()
    assert all(generated.nodes[f"d0_token{t}"]["value"].shape == (7,) for t in range(world.L))


@pytest.mark.parametrize("wrong", [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_splits_that_leave_a_child_without_words_are_refused(wrong):
    world = small()
    with pytest.raises(WorldError, match="zero unless 0 < k < n"):
        ConceptGrammar(world.prior, world.rules, world.words, torch.tensor(wrong, dtype=torch.float64))
