"""P13: only copies and overconfidence claim more than the world gives; the alarm fires on planted duplicates."""

import itertools
from dataclasses import replace

import pytest
import torch

from analysis.predictions.information_bound import claimed_information, information_alarm, measure
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, SUPPORTED
from analysis.synthesizers import CopyingSynthesizer, ExactSynthesizer, MapSynthesizer, PriorSynthesizer
from analysis.wrong_synthesizers import UnconditionalSynthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
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
    assert found == {"information on real pairs": SUPPORTED, "claimed information": claimed}


def test_claimed_information_is_the_divergence_of_written_documents():
    """By enumeration: sum over d2 of q(d2|d1) log q(d2|d1) / p(d2)."""
    world = make_world("bow", concepts=3, vocabulary=3, length=3, overlap=0.3, seed=2)
    documents = torch.tensor(list(itertools.product(range(3), repeat=3)))
    d1 = torch.tensor([[0, 2, 1]]).expand(27, -1)
    synthesizer = CopyingSynthesizer(world, 0.2)
    log_q = synthesizer.next_token_log_probs(documents, d1).gather(2, documents[..., None])[..., 0].sum(1)
    divergence = float((log_q.exp() * (log_q - exact.log_evidence(world, documents))).sum())
    assert float(log_q.exp() @ claimed_information(synthesizer, world, d1, documents)) == pytest.approx(divergence)


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
