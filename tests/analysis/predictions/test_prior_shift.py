import pytest
import torch

from analysis.bayes_gap import bayes_gap
from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions import prior_shift
from analysis.predictions.prior_shift import pool_world, two_oracles
from analysis.predictions.subject import Subject, known_subject
from analysis.predictions.verdict import CONTROL, REFUTED, SUPPORTED, decide
from analysis.synthesizers import (
    BeliefSynthesizer,
    ExactSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    TemperedSynthesizer,
)
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.categorical import zipf_prior
from synthetic_worlds.pair_sampling import PairSampling


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=2)


@pytest.fixture(scope="module")
def shifted(world):
    return PairSampling(prior=zipf_prior(world.C, 1.0))


def outcomes(subject) -> dict[str, str]:
    return {d.finding.quantity: d.outcome for d in decide(prior_shift.measure(subject))}


def test_the_law_of_the_new_prior_is_supported_and_that_of_the_old_refuted(world, shifted):
    new = known_subject(PairLawSynthesizer(world, shifted), world, 64, 0, shifted)
    assert prior_shift.applies(new) is None
    for found in prior_shift.measure(new):
        assert found.estimate == pytest.approx(found.null, abs=1e-3)
    assert set(outcomes(new).values()) == {SUPPORTED}
    old = known_subject(ExactSynthesizer(world), world, 128, 0, shifted)
    assert outcomes(old)["weight of the new prior"] == REFUTED


def test_half_a_shift_has_half_the_weight(world, shifted):
    half = (world.prior * (shifted.prior / world.prior).sqrt()).double()
    synthesizer = PairLawSynthesizer(world, PairSampling(prior=half / half.sum()))
    found = prior_shift.measure(known_subject(synthesizer, world, 64, 0, shifted))[0]
    assert found.estimate == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("kind", [PriorSynthesizer, MapSynthesizer, "cold"])
def test_wrong_ones_are_refuted_on_foreign_documents(world, kind):
    cold = TemperedSynthesizer(ExactSynthesizer(world), 0.7)
    subject = known_subject(cold if kind == "cold" else kind(world), world, 64, 0)
    assert outcomes(subject) == {"gap on foreign documents": REFUTED}


def test_one_who_is_right_on_documents_of_the_world_alone_is_refuted(world):
    class AtHome(BeliefSynthesizer):
        """Exact Bayes of documents such as the world writes, nothing learnt from others."""

        name = "at home"
        usual = exact.log_evidence(world, world.sample(1000, generator("usual")).tokens).quantile(0.05)

        def belief(self, d1):
            known = exact.log_evidence(self.world, d1) >= self.usual
            posterior = exact.concept_log_posterior(self.world, d1)
            return torch.where(known[:, None], posterior, self.world.prior_belief(len(d1)))

    subject = known_subject(AtHome(world), world, 256, 0)
    assert float(bayes_gap(subject.synthesizer, world, subject.d1, subject.related).per_document) < 0.22
    assert outcomes(subject) == {"gap on foreign documents": REFUTED}


def test_exact_bayes_on_foreign_documents_in_a_world_that_cannot_write_all_of_them():
    world = make_world("tree", preset="medium", seed=1)
    subject = known_subject(ExactSynthesizer(world), world, 64, 0)
    assert set(outcomes(subject).values()) <= {CONTROL}


def test_a_pool_of_concepts_is_told_from_their_law():
    world = make_world("polya", preset="medium", vocabulary=8, length=8, seed=1)
    points = world.sample_concepts(20, generator("pool"))
    known = known_subject(ExactSynthesizer(world), world, 128, 0)
    pool = ExactSynthesizer(pool_world(world, points))

    def judged(synthesizer) -> Subject:
        return Subject(synthesizer, world, known.d1, 0, known.alone, pool=points)

    assert outcomes(judged(pool)) == {"way to population": SUPPORTED}
    assert prior_shift.measure(judged(ExactSynthesizer(world)))[0].estimate == pytest.approx(1)
    assert outcomes(judged(ExactSynthesizer(world))) == {"way to population": REFUTED}
    gaps = two_oracles(pool, world, points, known.d1, generator("two oracles"))
    assert gaps.pool.per_document == pytest.approx(0, abs=1e-9) and gaps.population.per_document > 0.1
    gaps = two_oracles(ExactSynthesizer(world), world, points, known.d1, generator("two oracles"))
    assert gaps.population.per_document == pytest.approx(0, abs=1e-9) and gaps.pool.per_document > 0.1


def test_the_pool_is_the_even_mixture_of_its_points():
    world = make_world("polya", vocabulary=4, length=3, seed=1)
    points = world.sample_concepts(5, generator("points"))
    document = torch.tensor([[0, 3, 3]])
    expected = points[:, 0] * points[:, 3] ** 2
    assert float(exact.log_evidence(pool_world(world, points), document).exp()) == pytest.approx(float(expected.mean()))


def test_the_gap_alone_is_a_control(world):
    assert outcomes(known_subject(ExactSynthesizer(world), world, 64, 0)) == {"gap on foreign documents": CONTROL}


def test_where_it_does_not_apply(world):
    noisy = known_subject(ExactSynthesizer(world), world, 8, 0, PairSampling(wrong=0.1))
    assert "more than their prior" in prior_shift.applies(noisy)
