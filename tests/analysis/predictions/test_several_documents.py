import pytest
import torch

from analysis.predictions import several_documents
from analysis.predictions.several_documents import exact_drift, powered_belief
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import CONTROL, REFUTED, SUPPORTED, decide
from analysis.synthesizers import (
    BeliefSynthesizer,
    ExactSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    TemperedSynthesizer,
)
from synthetic_worlds import exact
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world


class LastDocumentOnly(ExactSynthesizer):
    """Forgets all but the last document."""

    name = "last document"

    def next_token_log_probs(self, d2, *given):
        return super().next_token_log_probs(d2, given[-1])


class Powered(BeliefSynthesizer):
    """Counts each document as a part of one."""

    name = "powered"

    def belief(self, *given):
        return powered_belief(self.world, 0.6, *given)


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=2)


def outcomes(subject) -> dict[str, str]:
    return {d.finding.quantity: d.outcome for d in decide(several_documents.measure(subject))}


def test_exact_bayes_is_supported(world):
    subject = known_subject(ExactSynthesizer(world), world, 2048, 0, conditioning=2)
    assert several_documents.applies(subject) is None
    findings = several_documents.measure(subject)
    assert {d.outcome for d in decide(findings)} == {SUPPORTED}
    several = [f for f in findings if f.quantity in ("order", "documents counted")]
    assert [f.estimate for f in several] == pytest.approx([0.0, 1.0], abs=1e-3)


def test_chains_of_one_that_takes_a_single_document_are_a_control(world):
    assert set(outcomes(known_subject(ExactSynthesizer(world), world, 512, 0)).values()) == {CONTROL}


def test_evidence_of_six_tenths_of_a_document_is_found_and_refuted(world):
    subject = known_subject(Powered(world), world, 128, 0, conditioning=2)
    counted = next(f for f in several_documents.measure(subject) if f.quantity == "documents counted")
    assert counted.estimate == pytest.approx(0.6, abs=1e-3)
    assert outcomes(subject)["entropy left after two"] == REFUTED


def test_one_who_remembers_the_last_document_only_sees_an_order(world):
    found = outcomes(known_subject(LastDocumentOnly(world), world, 256, 0, conditioning=2))
    assert found["order"] == REFUTED and found["documents counted"] == REFUTED


@pytest.mark.parametrize("kind, preset", [("prior", "medium"), ("plug-in", "hard"), ("cold", "medium")])
def test_chains_of_wrong_ones_keep_too_much_or_too_little(kind, preset):
    world = make_world("bow", preset=preset, seed=2)
    wrong = {
        "prior": PriorSynthesizer(world),
        "plug-in": MapSynthesizer(world),
        "cold": TemperedSynthesizer(ExactSynthesizer(world), 0.7),
    }
    assert outcomes(known_subject(wrong[kind], world, 2048, 0))["kept in a round"] == REFUTED


def test_the_drift_is_the_second_eigenvalue_of_the_concept_kernel():
    words = torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7]], dtype=torch.float64)
    world = BagOfWords(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), words, 2)
    documents = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    given_concept = world.log_likelihood(documents).exp()
    posterior = exact.concept_log_posterior(world, documents).exp()
    kernel = given_concept.T @ posterior
    assert torch.allclose(world.prior @ kernel, world.prior)
    second = torch.linalg.eigvals(kernel).real.sort().values[1]
    drift = exact_drift(world, 0)
    assert drift.kept == pytest.approx(float(second), abs=4 * drift.se + 1e-3)
    assert drift.se < 0.01


def test_where_it_does_not_apply():
    null = make_world("bow", preset="null")
    assert "null world" in several_documents.applies(known_subject(ExactSynthesizer(null), null, 8, 0))
    continuum = make_world("polya", preset="medium")
    assert "finite" in several_documents.applies(known_subject(ExactSynthesizer(continuum), continuum, 8, 0))
