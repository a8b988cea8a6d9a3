"""P6: no leak for exact Bayes, rho where pairs shared their style at rate rho, and copies are paraphrase."""

import pytest
import torch

from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions.style_leak import applies, measure, style_agreement
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, SUPPORTED
from analysis.synthesizers import CopyingSynthesizer, ExactSynthesizer, PriorSynthesizer
from analysis.wrong_synthesizers import UnconditionalSynthesizer
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
    assert found.null == pytest.approx(share, abs=0.03)
    assert found.estimate == pytest.approx(share, abs=4.5 * found.se)
    assert outcomes(measure(known_subject(leaking, world, 3000, 0))) == {"leak": REFUTED}


def test_copying_is_paraphrase(world, outcomes):
    assert outcomes(measure(known_subject(CopyingSynthesizer(world, 0.3), world, 1024, 0))) == {"leak": REFUTED}


class AlwaysOneStyle(PriorSynthesizer):
    """Ignores d1 and writes in the first style, whatever the prior of styles: a law of documents that fits badly."""

    name = "always one style"

    def sample(self, stream, *given):
        concepts = self.world.sample_concepts(len(given[0]), stream)
        styles = torch.zeros_like(concepts)
        return self.world.sample_given_concepts(concepts, stream, styles).tokens


@pytest.mark.parametrize("ignoring", [AlwaysOneStyle, UnconditionalSynthesizer, PriorSynthesizer])
def test_who_ignores_d1_leaks_nothing_however_bad_its_law_of_styles(world, outcomes, ignoring):
    (found,) = measure(known_subject(ignoring(world), world, 8192, 0))
    assert found.estimate == pytest.approx(0, abs=4 * found.se)
    assert found.se < 0.02 and abs(found.null) < 0.025


def test_styles_of_pairs_agree_as_their_posteriors_vary_together(world):
    """The mean over pairs against the covariance from its definition."""
    subject = known_subject(ExactSynthesizer(world), world, 500, 0)
    same = exact.sample_related(world.concept_and_style_world(), generator("same"), subject.d1)
    mine, theirs = (world.style_log_posterior(documents).exp() for documents in (subject.d1, same))
    both = torch.cov(torch.cat([mine, theirs], 1).T, correction=0)[: world.Z, world.Z :].diagonal()
    agreement = style_agreement(world, subject.d1, same).mean()
    assert float(agreement) == pytest.approx(float((both / world.style_prior).sum()))
    assert style_agreement(world, subject.d1, subject.d1).mean() > agreement > 0


def test_where_it_applies(world):
    bow = make_world("bow", preset="medium", seed=0)
    assert "no style" in applies(known_subject(ExactSynthesizer(bow), bow, 2, 0))
    noisy = known_subject(ExactSynthesizer(world), world, 2, 0, PairSampling(wrong=0.2))
    assert "noisy" in applies(noisy)
    same_words = make_world("style", preset="medium", strength=0.0, seed=0)
    assert measure(known_subject(ExactSynthesizer(same_words), same_words, 64, 0)) == []
