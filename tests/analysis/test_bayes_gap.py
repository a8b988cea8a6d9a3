import itertools
import math

import pytest
import torch

from analysis.bayes_gap import bayes_gap, bayes_gaps, kl_by_token
from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    document_log_probs,
    wrong_synthesizers,
)
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world

WRONG = ("prior", "MAP", "exact T=0.7", "exact T=1.3", "copying 5 %", "label-swapped")


@pytest.fixture(scope="module")
def tiny():
    return make_world("bow", vocabulary=3, length=3, concepts=3, overlap=0.2, seed=1)


@pytest.fixture(scope="module")
def tiny_gaps(tiny):
    d1 = tiny.sample(20_000, generator("gap d1")).tokens
    gaps = bayes_gaps([ExactSynthesizer(tiny), *wrong_synthesizers(tiny)], tiny, d1, generator=generator("gap d2"))
    return {gap.name: gap for gap in gaps}


def gap_by_enumeration(world, synthesizer) -> float:
    """sum over all pairs of documents of p(d1) p*(d2|d1) log p*(d2|d1) / q(d2|d1): no sampling, no teacher forcing."""
    documents = torch.tensor(list(itertools.product(range(world.V), repeat=world.L)))
    n = len(documents)
    d1, d2 = documents.repeat_interleave(n, 0), documents.repeat(n, 1)
    log_p = exact.log_predictive(world, d2, d1)
    joint = (exact.log_evidence(world, d1) + log_p).exp()
    return float((joint * (log_p - document_log_probs(synthesizer, d2, d1))).sum())


def test_exact_bayes_has_no_gap(tiny_gaps):
    gap = tiny_gaps["exact"]
    assert abs(gap.per_document) <= 1e-12
    assert gap.by_position.abs().max() <= 1e-12


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_synthesizer_fails_by_the_amount_enumeration_gives(tiny, tiny_gaps, name):
    synthesizer = next(s for s in wrong_synthesizers(tiny) if s.name == name)
    expected, gap = gap_by_enumeration(tiny, synthesizer), tiny_gaps[name]
    assert abs(gap.per_document - expected) <= 4 * gap.per_document_se
    assert gap.per_document > 10 * gap.per_document_se > 0


def test_prior_costs_exactly_the_information_between_documents():
    world = make_world("bow", "medium", seed=2)
    d1 = world.sample(2048, generator("gap d1")).tokens
    (gap,) = (
        g for g in bayes_gaps(wrong_synthesizers(world), world, d1, generator=generator("d2")) if g.name == "prior"
    )
    information = exact.information(world, 4096, generator("information"))
    assert gap.fraction == pytest.approx(1, abs=1e-12)
    assert gap.fraction_se == pytest.approx(0, abs=1e-12)
    difference = gap.per_document - information.I_d1_d2
    assert abs(difference) <= 4 * math.hypot(gap.per_document_se, information.I_d1_d2_se)


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_copying_costs_its_bound_where_no_document_arises_twice(tiny, rate):
    bound = -math.log1p(-rate)
    world = make_world("bow", "medium", seed=2)
    d1 = world.sample(4096, generator("gap d1")).tokens
    gap = bayes_gap(CopyingSynthesizer(world, rate), world, d1, generator=generator("copying d2"))
    assert abs(gap.per_document - bound) <= 4 * gap.per_document_se < bound
    assert 0 < gap_by_enumeration(tiny, CopyingSynthesizer(tiny, rate)) < 0.9 * bound


def test_a_null_world_has_no_gap_but_for_the_tempered_and_copying():
    world = make_world("bow", "null", seed=0)
    d1 = world.sample(64, generator("null")).tokens
    gaps = {g.name: g for g in bayes_gaps(wrong_synthesizers(world), world, d1, generator=generator("d2"))}
    for name in ("prior", "MAP", "label-swapped"):
        assert abs(gaps[name].per_document) <= 1e-12
        assert math.isnan(gaps[name].fraction)
    assert gaps["exact T=0.7"].per_document > 0.1


def test_lost_support_is_infinite_and_never_nan():
    medium = make_world("bow", vocabulary=3, length=4, concepts=2)
    words = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]], dtype=torch.float64)
    world = type(medium)(torch.tensor([0.5, 0.5], dtype=torch.float64), words, 4)
    d1 = world.sample(256, generator("d1")).tokens  # one in 16 leaves both concepts possible: MAP loses one
    gaps = {g.name: g for g in bayes_gaps(wrong_synthesizers(world), world, d1, generator=generator("d2"))}
    assert gaps["MAP"].per_document == math.inf
    assert gaps["MAP"].per_document_se == gaps["MAP"].fraction == gaps["MAP"].fraction_se == math.inf
    for gap in gaps.values():
        assert not gap.by_position.isnan().any()
        assert not gap.by_position_se.isnan().any()


def test_positions_add_up_and_batches_do_not_matter(tiny):
    d1 = tiny.sample(100, generator("gap d1")).tokens
    d2 = exact.sample_related(tiny, generator("gap d2"), d1)
    synthesizer = wrong_synthesizers(tiny)[0]
    whole, parts = (bayes_gap(synthesizer, tiny, d1, d2, batch=batch) for batch in (100, 7))
    assert float(whole.by_position.sum()) == pytest.approx(whole.per_document, abs=1e-12)
    assert whole.per_token == pytest.approx(whole.per_document / 3)
    assert parts.per_document == pytest.approx(whole.per_document, abs=1e-12)
    assert parts.n == 100


def test_standard_error_is_honest(tiny):
    """Over repetitions, (estimate - truth) / se has unit variance: this fails if se is off by a third."""
    synthesizer = wrong_synthesizers(tiny)[1]
    truth = gap_by_enumeration(tiny, synthesizer)
    scores = []
    for i in range(150):
        gap = bayes_gap(synthesizer, tiny, tiny.sample(200, generator("d1", i)).tokens, generator=generator("d2", i))
        scores.append((gap.per_document - truth) / gap.per_document_se)
    assert 0.75 < float(torch.tensor(scores).std()) < 1.33


def test_kl_counts_mass_on_tokens_outside():
    log_p = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64).log()
    log_q = torch.tensor([[0.4, 0.4, 0.0]], dtype=torch.float64).log()
    assert kl_by_token(log_p, log_q).item() == pytest.approx(math.log(0.5 / 0.4))
