import pytest
import torch

from analysis.fact_keeping import facts_kept, read_values, report_probabilities, reported_values, untrue_facts
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.narration_posterior import attribute_log_posterior


@pytest.fixture(scope="module")
def world():
    return make_world("narration", "medium", seed=0)


@pytest.fixture(scope="module")
def d1(world):
    return world.sample(4000, torch.Generator().manual_seed(0))


def test_reported_values_by_hand(world):
    fact = lambda attribute, value: (attribute * world.K + value) * world.templates + 3  # noqa: E731
    aside = world.A * world.K * world.templates
    tokens = torch.tensor([[fact(2, 4), aside, fact(0, 1), aside + 2, fact(5, 0), fact(1, 3)]])
    assert reported_values(world, tokens).tolist() == [[1, 3, 4, -1, -1, 0]]


def test_reading_texts_agrees_with_their_symbols_and_skips_what_is_no_sentence(world, d1):
    texts = world.texts(d1)[:200]
    values, known = read_values(world, texts)
    assert torch.equal(values, reported_values(world, d1.tokens[:200]))
    assert (known == 1).all()
    first, second = world.grammar.patterns[0], world.grammar.patterns[world.templates]  # two values of one attribute
    sentences = [pattern.replace("{She}", "She").replace("{Her}", "Her") for pattern in (first, second)]
    values, known = read_values(world, [f"Nonsense here. {sentences[0]} {sentences[1]}", "", "No fact at all."])
    assert values.tolist() == [[0, -1, -1, -1, -1, -1]] + [[-1] * 6] * 2
    assert known.tolist() == pytest.approx([2 / 3, 0, 0])


def test_exact_draws_keep_and_make_up_what_exact_bayes_says(world, d1):
    d2 = reported_values(world, exact.sample_related(world, torch.Generator().manual_seed(1), d1.tokens))
    kept = facts_kept(world, d1.tokens, d2)
    untrue = untrue_facts(world, d1.tokens, d2, d1.latents["concept"])
    for found in (kept, untrue):
        assert abs(found.share - found.exact) < 4 * found.se
        assert found.se < 0.01
    assert 0.5 < kept.exact < 0.9
    assert untrue.documents == 4000


def test_copies_keep_all_and_the_prior_keeps_little(world, d1):
    same = reported_values(world, d1.tokens)
    copied = facts_kept(world, d1.tokens, same)
    assert copied.share == 1.0 > copied.exact
    unrelated = reported_values(world, world.sample(4000, torch.Generator().manual_seed(2)).tokens)
    found = facts_kept(world, d1.tokens, unrelated)
    assert found.share < found.exact - 20 * found.se
    invented = untrue_facts(world, d1.tokens, unrelated, d1.latents["concept"])
    assert invented.share > invented.exact + 20 * invented.se
    assert untrue_facts(world, d1.tokens, same, d1.latents["concept"]).share == pytest.approx(
        world.misreport * (1 - 1 / world.K), abs=0.02
    )


def test_report_probabilities_are_laws_between_posterior_and_chance(world, d1):
    some = d1.tokens[:50]
    law, posterior = report_probabilities(world, some), attribute_log_posterior(world, some).exp()
    assert torch.allclose(law.sum(2), torch.ones(50, world.A, dtype=torch.float64))
    assert torch.allclose(law - 1 / world.K, (1 - world.misreport) * (posterior - 1 / world.K))
