"""Each learner's law is its world's, its fit the maximum it claims to be, and a weight is a number of copies."""

import dataclasses
import math

import pytest
import torch

from analysis.ideal.factors import FactorLearner, Factors
from analysis.ideal.learner import TunedLearner, ideal_learner
from analysis.ideal.mixture import Mixture, MixtureLearner, word_counts, word_frequencies
from analysis.ideal.replicates import exact_log_density, exact_related, sample_groups
from analysis.ideal.urn import Urn, UrnLearner
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world

torch.set_num_threads(1)
BOW = make_world("bow", concepts=3, vocabulary=6, length=5, overlap=0.4)
POLYA = make_world("polya", vocabulary=4, length=6, overlap=0.6)
GAUSSIAN = make_world("gaussian", factors=2, width=4, overlap=0.4)
WORLDS = (BOW, POLYA, GAUSSIAN)


def truth(world):
    """The law that a learner of ``world`` should find."""
    if world is BOW:
        return Mixture(BOW.log_prior[None], BOW.words.log()[None], BOW.L)
    if world is POLYA:
        return Urn(POLYA.overlap / (1 - POLYA.overlap) * POLYA.means, POLYA.L)
    return Factors(GAUSSIAN.axes[0][None], GAUSSIAN.axes[1][None], GAUSSIAN.noise)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_law_of_the_true_parameters_is_exact_bayes(world):
    groups = sample_groups([world], 2000, 2, generator("groups"))
    d1, d2 = groups[:, :, 0], groups[:, :, 1]
    model = truth(world)
    torch.testing.assert_close(model.log_density(d1), exact_log_density([world], d1))
    drawn = model.sample_related(d1, generator("model"))[0], exact_related([world], d1, generator("exact"))[0]
    means = [exact.log_predictive(world, related, d1[0]) for related in (*drawn, d2[0])]
    for other in means[1:]:  # the exact sampler, and real partners
        error = math.hypot(float(means[0].std()), float(other.std())) / math.sqrt(len(other))
        assert abs(float(means[0].mean() - other.mean())) < 4 * error
    alone = exact_log_density([world], model.sample(2000, generator("alone")))[0]
    real = exact_log_density([world], d1)[0]
    assert abs(float(alone.mean() - real.mean())) < 4 * math.hypot(float(alone.std()), float(real.std())) / 2000**0.5


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_fits_find_the_truth_and_weights_are_copies(world):
    learner = ideal_learner([world, world])
    groups = sample_groups([world, world], 4000, 2, generator("groups"))
    heldout = sample_groups([world, world], 2000, 1, generator("heldout")).flatten(1, 2)
    excess = exact_log_density([world] * 2, heldout) - learner.fit(groups, torch.ones(4000).double()).log_density(
        heldout
    )
    assert (excess.mean(1).abs() < 0.02).all()

    few = groups[:, :30]
    twice = torch.cat([few, few[:, :10]], 1)
    weights = torch.cat([torch.full((10,), 2.0), torch.ones(20)]).double()
    torch.testing.assert_close(
        learner.fit(few, weights).log_density(heldout), learner.fit(twice, torch.ones(40).double()).log_density(heldout)
    )


def test_em_counts_words_where_documents_identify_their_concept():
    words = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.3, 0.7]]).double()
    world = BagOfWords(torch.tensor([0.5, 0.5]).double(), words, 4)
    documents = torch.tensor([[[[0, 0, 1, 0]], [[2, 3, 3, 3]], [[3, 3, 2, 3]]]])
    a, pull = 0.01, 0.01 * 4 * torch.tensor([4, 2, 3, 7]).double() / 16
    learner = dataclasses.replace(MixtureLearner.of_worlds([world]), pseudo_count=a)
    model = learner.fit(documents, torch.ones(3).double())
    expected = torch.tensor([[3, 1, 0, 0], [0, 0, 2, 6]]).double() + pull
    expected /= expected.sum(1, keepdim=True)
    torch.testing.assert_close(model.log_words.exp()[0], expected, rtol=1e-4, atol=1e-4)
    prior = torch.tensor([1 + a, 2 + a]).double() / (3 + 2 * a)
    torch.testing.assert_close(model.log_prior.exp()[0], prior, rtol=1e-4, atol=1e-4)


def test_em_ends_where_the_posterior_is_stationary():
    learner = dataclasses.replace(MixtureLearner.of_worlds([BOW]), tolerance=1e-9, steps=5000)
    groups = sample_groups([BOW], 200, 2, generator("groups"))
    model = learner.fit(groups, torch.ones(200).double())
    prior, words = model.log_prior.clone().requires_grad_(), model.log_words.clone().requires_grad_()
    free = Mixture(prior.log_softmax(1), words.log_softmax(2), model.length)
    counts = word_counts(groups.flatten(2), BOW.V)
    frequencies = word_frequencies(counts, torch.ones(200).double())
    penalty = learner.pseudo_count * (free.log_prior.sum() + BOW.V * (frequencies[:, None] * free.log_words).sum())
    (free.log_joint(counts).logsumexp(2).sum() + penalty).backward()
    assert float(prior.grad.abs().max()) < 1e-3 and float(words.grad.abs().max()) < 1e-3


def test_the_urn_is_at_the_maximum():
    groups = sample_groups([POLYA], 200, 2, generator("groups"))
    learner = UrnLearner.of_worlds([POLYA])
    alpha = learner.fit(groups, torch.ones(200).double()).alpha.clone().requires_grad_()
    prior = (learner.pseudo_count * alpha.log() - learner.rate * alpha).sum()
    (Urn(alpha, POLYA.L).log_density(groups.flatten(2)).sum() + prior).backward()
    assert float((alpha.grad * alpha.detach()).abs().max()) < 1e-2


def test_factors_are_at_the_maximum():
    groups = sample_groups([GAUSSIAN], 300, 2, generator("groups"))
    learner = FactorLearner.of_worlds([GAUSSIAN])
    fitted = learner.fit(groups, torch.ones(300).double())

    def likelihood(loading: torch.Tensor) -> float:
        """Of all pairs, from the covariance of two documents that share W c."""
        shared = loading @ loading.T
        own = shared + torch.diag(GAUSSIAN.noise)
        covariance = torch.cat([torch.cat([own, shared], 1), torch.cat([shared, own], 1)])
        law = torch.distributions.MultivariateNormal(torch.zeros(8).double(), covariance)
        return float(law.log_prob(groups[0].flatten(1)).sum())

    loading = GAUSSIAN.noise.sqrt()[:, None] * fitted.axes[0] * fitted.signal[0].sqrt()
    best, random = likelihood(loading), generator("nudge")
    assert best > likelihood(GAUSSIAN.loading)
    for _ in range(20):
        assert best > likelihood(loading + 1e-2 * torch.randn(4, 2, dtype=torch.float64, generator=random))


@pytest.mark.parametrize("world", [BOW, POLYA], ids=lambda world: world.name)
def test_a_tuned_learner_takes_the_smoothing_that_suits_other_documents(world):
    worlds = [world] * 4
    others = sample_groups(worlds, 500, 1, generator("others")).flatten(1, 2)
    learner = ideal_learner(worlds)
    for groups in (10, 500):
        documents, weights = sample_groups(worlds, groups, 1, generator("documents")), torch.ones(groups).double()
        fits = [each.fit(documents, weights).log_density(others).mean() for each in learner.alternatives()]
        tuned = TunedLearner(learner, others).fit(documents, weights).log_density(others).mean()
        assert float(tuned) == float(max(fits)) > float(min(fits))


def test_worlds_that_have_no_ideal_learner():
    with pytest.raises(UserError, match=r"worlds bow, polya; expected worlds of one kind"):
        ideal_learner([BOW, POLYA])
    with pytest.raises(UserError, match=r"worlds hmm; expected"):
        ideal_learner([make_world("hmm")])
    with pytest.raises(UserError, match=r"components=2; expected 1"):
        ideal_learner([make_world("polya", components=2)])
    with pytest.raises(UserError, match=r"different noise"):
        ideal_learner([GAUSSIAN, make_world("gaussian", factors=2, width=4, overlap=0.5)])
