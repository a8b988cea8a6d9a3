"""Each wrong synthesizer is a law of documents, sampled as it is scored, and wrong in the way it says."""

import pytest
import torch

from analysis.bayes_gap import bayes_gap
from analysis.synthesizers import ExactSynthesizer, PriorSynthesizer, document_log_probs
from analysis.wrong_synthesizers import (
    WRONG,
    StaticMixtureSynthesizer,
    StyleLeakingSynthesizer,
    UnconditionalSynthesizer,
    make_wrong,
    why_not,
)
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world

TINY = {"concepts": 3, "vocabulary": 3, "length": 3}


@pytest.fixture(scope="module")
def world():
    return make_world("style", seed=1, styles=2, strength=1.5, **TINY)


@pytest.fixture(scope="module")
def documents(world):
    """Every document of three words of three."""
    return torch.cartesian_prod(*[torch.arange(3)] * 3)


@pytest.mark.parametrize("kind", WRONG)
def test_it_is_a_law_of_documents_and_samples_follow_it(world, documents, kind):
    synthesizer = make_wrong(kind, world)
    d1 = documents[5].expand(len(documents), -1)
    law = document_log_probs(synthesizer, documents, d1).exp()
    assert float(law.sum()) == pytest.approx(1, abs=1e-9)
    n = 4000
    drawn = synthesizer.sample(generator(kind), documents[5].expand(n, -1))
    counts = torch.bincount(drawn @ torch.tensor([9, 3, 1]), minlength=27).double()
    assert float(((counts - n * law).abs() / (n * law * (1 - law)).sqrt().clamp(min=1)).max()) < 4.5


def test_the_static_mixture_is_the_plain_average_of_next_token_laws(world, documents):
    d1 = documents.flip(0)
    laws = [s.next_token_log_probs(documents, d1).exp() for s in (ExactSynthesizer(world), PriorSynthesizer(world))]
    mixed = StaticMixtureSynthesizer(world, 0.3).next_token_log_probs(documents, d1).exp()
    assert torch.allclose(mixed, 0.7 * laws[0] + 0.3 * laws[1])


def test_the_unconditional_law_is_the_marginal_of_each_position(world, documents):
    probability = exact.log_evidence(world, documents).exp()
    found = UnconditionalSynthesizer(world, 20_000).log_law.exp()
    for t in range(3):
        marginal = torch.zeros(3, dtype=torch.float64).index_add(0, documents[:, t], probability)
        assert torch.allclose(found[t], marginal, atol=0.01)


def test_a_leak_keeps_the_style_of_d1_and_the_concept(world):
    concepts, styles = torch.zeros(400, dtype=torch.int64), torch.ones(400, dtype=torch.int64)
    d1 = world.sample_given_concepts(concepts, generator("leak"), styles).tokens
    keeps = [
        float(world.style_log_posterior(s.sample(generator("leaked"), d1)).exp()[:, 1].mean())
        for s in (ExactSynthesizer(world), StyleLeakingSynthesizer(world, 1.0))
    ]
    assert keeps[1] > keeps[0] + 0.05


def test_all_that_a_world_has_differ_from_exact_bayes_in_it():
    bow = make_world("bow", preset="medium", seed=0)
    d1 = bow.sample(200, generator("d1")).tokens
    d2 = exact.sample_related(bow, generator("d2"), d1)
    gaps = {kind: bayes_gap(make_wrong(kind, bow), bow, d1, d2) for kind in WRONG if why_not(kind, bow) is None}
    assert set(WRONG) - set(gaps) == {"style-leaking"}
    assert all(gap.per_document > 0.045 for gap in gaps.values())  # the least is that of copying: -log 0.95


def test_a_slip_is_named(world):
    with pytest.raises(UserError, match="expected one of prior, MAP"):
        make_wrong("flat", world)
    with pytest.raises(UserError, match="world bow has no private style"):
        make_wrong("style-leaking", make_world("bow", seed=0))
    assert make_wrong("map", world).name == "MAP"
