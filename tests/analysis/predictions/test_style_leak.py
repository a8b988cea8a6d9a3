"""P6: no leak for exact Bayes, rho where pairs shared their style at rate rho, and copies are paraphrase."""

import pytest
import torch

from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions.style_leak import applies, measure, style_evidence
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, SUPPORTED
from analysis.synthesizers import CopyingSynthesizer, ExactSynthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling


@pytest.fixture(scope="module")
def world():
    return make_world("style", preset="medium", strength=0.8, concepts=6, vocabulary=24, length=12, seed=0)


def test_exact_bayes_leaks_nothing(world, outcomes):
    assert outcomes(measure(known_subject(ExactSynthesizer(world), world, 4096, 0))) == {"leak": SUPPORTED}


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_pairs_that_share_their_style_leak_at_their_rate(world, outcomes, share):
    pairs = PairSampling(shared_style=share)
    leaking = PairLawSynthesizer(world, pairs)
    (found,) = measure(known_subject(leaking, world, 3000, 0, pairs))
    assert found.null == share
    assert found.estimate == pytest.approx(share, abs=4.5 * found.se)
    assert outcomes(measure(known_subject(leaking, world, 3000, 0))) == {"leak": REFUTED}


def test_copying_is_paraphrase(world, outcomes):
    assert outcomes(measure(known_subject(CopyingSynthesizer(world, 0.3), world, 1024, 0))) == {"leak": REFUTED}


def test_style_evidence_is_bounded_and_one_for_a_sure_common_style(world):
    subject = known_subject(ExactSynthesizer(world), world, 500, 0)
    same = exact.sample_related(world.concept_and_style_world(), generator("same"), subject.d1)
    evidence, copies = style_evidence(subject, same), style_evidence(subject, subject.d1)
    assert ((evidence >= -1) & (evidence <= 1)).all()
    assert copies.mean() > evidence.mean() > style_evidence(subject, subject.related).mean()
    assert not torch.isnan(evidence).any()


def test_where_it_applies(world):
    bow = make_world("bow", preset="medium", seed=0)
    assert "no style" in applies(known_subject(ExactSynthesizer(bow), bow, 2, 0))
    noisy = known_subject(ExactSynthesizer(world), world, 2, 0, PairSampling(wrong=0.2))
    assert "noisy" in applies(noisy)
    same_words = make_world("style", preset="medium", strength=0.0, seed=0)
    assert measure(known_subject(ExactSynthesizer(same_words), same_words, 64, 0)) == []
