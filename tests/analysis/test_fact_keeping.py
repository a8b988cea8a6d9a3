import pytest
import torch

from analysis.fact_keeping import facts_kept, report_probabilities, reported_values, untrue_facts
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


def test_exact_draws_keep_and_make_up_what_exact_bayes_says(world, d1):
    d2 = exact.sample_related(world, torch.Generator().manual_seed(1), d1.tokens)
    kept = facts_kept(world, d1.tokens, d2)
    untrue = untrue_facts(world, d1.tokens, d2, d1.latents["concept"])
    for found in (kept, untrue):
        assert abs(found.share - found.exact) < 4 * found.se
        assert found.se < 0.01
    assert 0.5 < kept.exact < 0.9
    assert untrue.documents == 4000


def test_copies_keep_all_and_the_prior_keeps_little(world, d1):
    copied = facts_kept(world, d1.tokens, d1.tokens)
    assert copied.share == 1.0 > copied.exact
    unrelated = world.sample(4000, torch.Generator().manual_seed(2)).tokens
    for found in (facts_kept(world, d1.tokens, unrelated),):
        assert found.share < found.exact - 20 * found.se
    invented = untrue_facts(world, d1.tokens, unrelated, d1.latents["concept"])
    assert invented.share > invented.exact + 20 * invented.se
    assert untrue_facts(world, d1.tokens, d1.tokens, d1.latents["concept"]).share == pytest.approx(
        world.misreport * (1 - 1 / world.K), abs=0.02
    )


def test_report_probabilities_are_laws_between_posterior_and_chance(world, d1):
    some = d1.tokens[:50]
    law, posterior = report_probabilities(world, some), attribute_log_posterior(world, some).exp()
    assert torch.allclose(law.sum(2), torch.ones(50, world.A, dtype=torch.float64))
    assert torch.allclose(law - 1 / world.K, (1 - world.misreport) * (posterior - 1 / world.K))
