"""P13: only copies and overconfidence claim more than the world gives; the alarm fires on planted duplicates."""

import itertools
from dataclasses import replace

import pytest
import torch

from analysis.predictions.information_bound import claimed_information, information_alarm, measure
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import CONTROL, REFUTED, SUPPORTED, by_prediction, decide
from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    document_log_probs,
)
from analysis.wrong_synthesizers import UnconditionalSynthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling, sample_pairs


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=0)


@pytest.mark.parametrize(
    "kind, claimed",
    [
        (ExactSynthesizer, SUPPORTED),
        (PriorSynthesizer, SUPPORTED),
        (MapSynthesizer, REFUTED),
        (lambda world: CopyingSynthesizer(world, 0.05), REFUTED),
    ],
)
def test_what_it_refutes(world, outcomes, kind, claimed):
    found = outcomes(measure(known_subject(kind(world), world, 2048, 0)))
    assert found == {"information on real pairs": CONTROL, "claimed information": claimed}


def test_claimed_information_is_the_divergence_from_what_is_written_given_other_documents():
    """By enumeration: sum over d2 of q(d2|d1) log q(d2|d1) / mean_k q(d2|d1_k), the d1_k the two rows before."""
    world = make_world("bow", concepts=3, vocabulary=3, length=3, overlap=0.3, seed=2)
    documents = torch.tensor(list(itertools.product(range(3), repeat=3)))
    synthesizer = CopyingSynthesizer(world, 0.2)
    given = torch.tensor([[0, 2, 1], [1, 1, 0], [2, 2, 2]])
    log_q = torch.stack([document_log_probs(synthesizer, documents, d1.expand(27, -1)) for d1 in given])
    divergence = float((log_q[0].exp() * (log_q[0] - log_q[1:].exp().mean(0).log())).sum())
    claimed = claimed_information(synthesizer, given.repeat(27, 1), documents.repeat_interleave(3, 0), unrelated=2)
    assert float(log_q[0].exp() @ claimed[::3]) == pytest.approx(divergence)


@pytest.mark.parametrize("ignoring", [PriorSynthesizer, UnconditionalSynthesizer])
def test_who_ignores_d1_claims_nothing_however_bad_its_law_of_documents(world, ignoring):
    found = measure(known_subject(ignoring(world), world, 200, 0))
    assert found[1].estimate == pytest.approx(0, abs=1e-9)


def test_exact_bayes_claims_little_more_than_there_is(world):
    """The bound from eight others is above I(d1;d2) and below that from one."""
    subject = known_subject(ExactSynthesizer(world), world, 4096, 0)
    known = exact.information(world, 8192, generator("known")).I_d1_d2
    by_eight, by_one = (
        float(claimed_information(subject.synthesizer, subject.d1, subject.related, k).mean()) for k in (8, 1)
    )
    assert known < by_eight < 1.4 * known < by_one


def test_in_null_worlds_and_where_documents_rule_each_other_out_nothing_is_claimed():
    null = make_world("bow", preset="null", seed=0)
    found = measure(known_subject(PriorSynthesizer(null), null, 64, 0))
    assert [f.quantity for f in found] == ["information on real pairs"]
    assert by_prediction(decide(found)) == {"P13": CONTROL}
    words = torch.eye(3, dtype=torch.float64)
    apart = BagOfWords(torch.full((3,), 1 / 3, dtype=torch.float64), words, 2)
    assert len(measure(known_subject(ExactSynthesizer(apart), apart, 64, 0))) == 1


def test_the_bound_holds_in_the_world_itself(world):
    found = exact.information(world, 4096, generator("bound"))
    assert found.I_d1_d2 < found.I_c_d1


@pytest.mark.parametrize("share, fires", [(0.0, False), (0.2, True)])
def test_the_alarm_fires_on_planted_duplicates(world, share, fires):
    known = exact.information(world, 8192, generator("known"))
    pairs = sample_pairs(world, 4096, generator("pairs", 1), PairSampling(near_duplicate=share))
    synthesizer = ExactSynthesizer(world)
    alarm = information_alarm(synthesizer, synthesizer, pairs.d1, pairs.d2, known.I_d1_d2, known.I_d1_d2_se)
    assert alarm.fires == fires


def test_the_alarm_fires_on_few_duplicates_where_the_synthesizer_learnt_to_copy(world):
    known = exact.information(world, 4096, generator("known"))
    pairs = sample_pairs(world, 1000, generator("pairs", 1), PairSampling(near_duplicate=0.03))
    copying = CopyingSynthesizer(world, 0.03)
    alarm = information_alarm(copying, ExactSynthesizer(world), pairs.d1, pairs.d2, known.I_d1_d2, known.I_d1_d2_se)
    assert alarm.fires


def test_a_bad_law_of_a_document_alone_does_not_look_like_information(world):
    """A base model that is hardly trained makes any tuned synthesizer seem to know something, in null worlds too."""
    subject = known_subject(PriorSynthesizer(world), world, 200, 0)
    worse = replace(subject, alone=UnconditionalSynthesizer(world, 256))
    assert [f.estimate for f in measure(worse)] == [f.estimate for f in measure(subject)]
    assert measure(subject)[0].estimate == pytest.approx(0, abs=1e-9)
