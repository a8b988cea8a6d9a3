import itertools
import math
from dataclasses import replace

import pytest
import torch

from analysis.bayes_gap import kl_by_token
from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions import pairing_law
from analysis.predictions.pairing_law import tilted_synthesizer
from analysis.predictions.probes import word_counts
from analysis.predictions.subject import Subject, known_subject
from analysis.predictions.verdict import REFUTED, SUPPORTED, decide
from analysis.synthesizers import ExactSynthesizer, PriorSynthesizer, document_log_probs
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_law import pair_log_prob
from synthetic_worlds.pair_sampling import PairSampling, sample_pairs

STYLED = PairSampling(shared_style=1.0)
RANDOM = PairSampling(wrong=1.0)


@pytest.fixture(scope="module")
def world():
    return make_world("style", preset="medium", strength=1.0, concepts=4, styles=3, vocabulary=12, length=8, seed=1)


def outcomes(subject) -> dict[str, str]:
    return {d.finding.quantity: d.outcome for d in decide(pairing_law.measure(subject))}


def empirical(world, options: PairSampling, n: int) -> pairing_law.TiltedSynthesizer:
    """The tilted law from ``n`` sampled pairs, as a corpus would have them."""
    drawn = sample_pairs(world, n, generator("corpus", n), options)
    places = torch.arange(n)
    return tilted_synthesizer(torch.cat([drawn.d1, drawn.d2]), torch.stack([places, places + n], 1), world)


@pytest.mark.parametrize("options", [PairSampling(wrong=0.3), PairSampling(near_duplicate=0.3), STYLED])
def test_the_law_of_pairs_is_sampled_as_it_is_stated(options):
    world = make_world("style", concepts=2, styles=2, vocabulary=2, length=3, strength=1.0, seed=3)
    documents = torch.tensor(list(itertools.product(range(2), repeat=3)))
    d1 = torch.tensor([[0, 1, 1]]).expand(4000, -1)
    law = PairLawSynthesizer(world, options)
    expected = pair_log_prob(world, documents, d1[:8], options).exp()
    assert torch.allclose(document_log_probs(law, documents, d1[:8]).exp(), expected, atol=1e-12)
    codes = (law.sample(generator("pair law"), d1) * torch.tensor([4, 2, 1])).sum(1)
    share = torch.bincount(codes, minlength=8) / 4000
    assert ((share - expected).abs() <= 4.5 * (expected * (1 - expected) / 4000).sqrt()).all()


@pytest.mark.parametrize("options", [PairSampling(), PairSampling(wrong=0.4), STYLED, RANDOM])
def test_the_law_of_a_rule_is_found_from_its_pairs(world, options):
    tilted = empirical(world, options, 6000)
    fresh = sample_pairs(world, 500, generator("fresh"), options)
    found = document_log_probs(tilted, fresh.d2, fresh.d1)
    truth = pair_log_prob(world, fresh.d2, fresh.d1, options)
    assert float((truth - found).mean()) < 0.03
    alone = document_log_probs(PriorSynthesizer(world), fresh.d2, fresh.d1)
    if options != RANDOM:
        assert float((found - alone).mean()) > 0.7 * float((truth - alone).mean()) > 0.03


def test_reweighted_concepts_are_found_too(world):
    prior = torch.tensor([0.7, 0.1, 0.1, 0.1], dtype=torch.float64)
    tilted = empirical(world, PairSampling(prior=prior), 4000)
    first = tilted.log_matrix.logsumexp(1).view(4, 3).logsumexp(1).exp()
    assert torch.allclose(first, prior, atol=0.05)


@pytest.mark.parametrize("options", [STYLED, RANDOM, PairSampling(wrong=0.3)])
def test_the_law_of_its_own_pairs_is_supported_and_exact_bayes_refuted(world, options):
    own = known_subject(PairLawSynthesizer(world, options), world, 64, 0, options)
    for found in pairing_law.measure(own):
        assert found.estimate == pytest.approx(found.null, abs=1e-9)
    assert set(outcomes(own).values()) == {SUPPORTED}
    right = known_subject(ExactSynthesizer(world), world, 256, 0, options)
    assert outcomes(right)["dependence on d1"] == REFUTED


def test_a_rule_given_with_its_law(world):
    tilted = empirical(world, STYLED, 2000)
    plain = known_subject(tilted, world, 64, 0)
    assert "P1" in pairing_law.applies(plain)
    subject = Subject(tilted, world, plain.d1, 0, plain.alone, tilted=tilted)
    assert "kept from it" in pairing_law.applies(subject)
    subject = replace(subject, unseen=(plain.d1, plain.related))
    assert pairing_law.applies(subject) is None
    assert outcomes(subject) == {"gap to the law of its pairs": SUPPORTED}


def by_words(documents: torch.Tensor, among: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """The document of ``among`` with the most similar word counts to each of ``documents``, itself left out."""
    counts, others = (word_counts(d, vocabulary).sqrt() for d in (documents, among))
    similarity = counts @ others.T
    return similarity.masked_fill((documents[:, None] == among).all(-1), -1).argmax(1)


def test_the_law_of_a_rule_that_goes_by_words_generalises_to_unseen_documents():
    world = make_world("style", preset="medium", strength=1.0, concepts=6, styles=3, vocabulary=16, seed=1)
    corpus, fresh = (world.sample(n, generator("rule", n)).tokens for n in (1500, 500))
    partners = by_words(corpus, corpus, world.V)
    tilted = tilted_synthesizer(corpus, torch.stack([torch.arange(1500), partners], 1), world)
    unseen = world.sample(1501, generator("partners")).tokens
    partner = unseen[by_words(fresh, unseen, world.V)]
    gain = document_log_probs(tilted, partner, fresh) - document_log_probs(ExactSynthesizer(world), partner, fresh)
    assert float(gain.mean()) > 0.3 + 3 * float(gain.std()) / 500**0.5


class SharedWords:
    """Half the law of a rule's pairs, half the words of d1 (one in ten any word): what a projection can't know."""

    name = "shared words"

    def __init__(self, tilted: pairing_law.TiltedSynthesizer):
        self.tilted = tilted

    def next_token_log_probs(self, d2, d1):
        words = word_counts(d1, self.tilted.world.V) / d1.shape[1]
        words = 0.9 * words + 0.1 / words.shape[1]
        return (0.5 * self.tilted.next_token_log_probs(d2, d1).exp() + 0.5 * words[:, None]).log()


def test_better_than_the_projection_is_no_fault_and_ignoring_d1_is():
    world = make_world("style", preset="medium", strength=1.0, concepts=6, styles=3, vocabulary=16, seed=1)
    corpus, fresh, others = (world.sample(n, generator("rule", n)).tokens for n in (1500, 500, 1501))
    partners = by_words(corpus, corpus, world.V)
    tilted = tilted_synthesizer(corpus, torch.stack([torch.arange(1500), partners], 1), world)
    unseen = (fresh, others[by_words(fresh, others, world.V)])

    def gap(synthesizer):
        subject = Subject(synthesizer, world, fresh, 0, ExactSynthesizer(world), tilted=tilted, unseen=unseen)
        (decision,) = decide(pairing_law.measure(subject))
        return decision

    better = gap(SharedWords(tilted))
    assert better.finding.estimate < -0.05 and better.outcome == SUPPORTED
    ignoring = gap(PriorSynthesizer(world))
    d1, d2 = unseen
    nats = document_log_probs(tilted, d2, d1) - document_log_probs(PriorSynthesizer(world), d2, d1)
    assert ignoring.outcome == REFUTED
    assert ignoring.finding.estimate == pytest.approx(float(nats.mean()) / math.log(2) / world.L)


def test_too_few_pairs_are_named(world):
    documents = world.sample(20, generator("few")).tokens
    with pytest.raises(UserError, match="expected"):
        tilted_synthesizer(documents, torch.zeros(3, 2, dtype=torch.int64), world)
    with pytest.raises(UserError, match="many documents"):
        tilted_synthesizer(documents, torch.ones(30, 2, dtype=torch.int64), world)


@pytest.mark.parametrize(
    "options",
    [
        PairSampling(wrong=0.3),
        PairSampling(near_duplicate=0.3),
        STYLED,
        PairSampling(prior=torch.tensor([0.9, 0.1], dtype=torch.float64)),
    ],
)
def test_what_ignores_d1_is_the_mean_of_the_law_over_d1(options):
    """By enumeration: sum over d1 of p(d1) p(d2 | d1) is the law of d2 alone."""
    world = make_world("style", concepts=2, styles=2, vocabulary=2, length=3, strength=1.0, seed=3)
    documents = torch.tensor(list(itertools.product(range(2), repeat=3)))
    everything = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    d1, d2 = documents[everything[:, 0]], documents[everything[:, 1]]
    subject = known_subject(ExactSynthesizer(world), world, 8, 0, options)
    alone = pairing_law.own_law_alone(subject, documents).gather(2, documents[..., None]).sum((1, 2)).exp()
    joint = document_log_probs(PairLawSynthesizer(world, options), d2, d1).exp() * alone[everything[:, 0]]
    assert torch.allclose(joint.view(8, 8).sum(0), alone, atol=1e-12)
    assert alone.sum() == pytest.approx(1)


def test_a_gap_is_judged_by_the_token_and_by_what_there_is_to_learn():
    """Documents twice as long allow twice the nats; where d1 says little, ignoring it is refuted by its share."""
    for length in (8, 16):
        world = make_world("bow", preset="medium", length=length, seed=0)
        options = PairSampling(wrong=0.3)
        subject = known_subject(PriorSynthesizer(world), world, 256, 0, options)
        gap, share, *_ = pairing_law.measure(subject)
        own = PairLawSynthesizer(world, options)
        d2 = own.sample(generator("P9", 0), subject.d1)
        nats = kl_by_token(own.next_token_log_probs(d2, subject.d1), pairing_law.own_law_alone(subject, d2)).sum(1)
        assert gap.estimate * length * math.log(2) == pytest.approx(float(nats.mean()))
        assert share.estimate == pytest.approx(1)
    little = PairSampling(wrong=0.9)
    found = decide(pairing_law.measure(known_subject(PriorSynthesizer(world), world, 1024, 0, little)))
    outcomes = {d.finding.quantity: d.outcome for d in found}
    assert outcomes["gap to the law of its pairs"] == SUPPORTED and outcomes["share of information"] == REFUTED


def test_random_pairs_have_no_information_to_have_a_share_of(world):
    quantities = {f.quantity for f in pairing_law.measure(known_subject(PriorSynthesizer(world), world, 64, 0, RANDOM))}
    assert "gap to the law of its pairs" in quantities and "share of information" not in quantities
