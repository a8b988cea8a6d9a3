"""Zeros in the parameters: impossible is -inf and never NaN, and merely improbable is never taken for impossible."""

import pytest
import torch

from synthetic_worlds import exact, hmm_forward
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.hmm import ConceptHMM
from synthetic_worlds.world import WorldError


def impossible_document(world):
    all_documents = torch.cartesian_prod(*[torch.arange(world.V)] * world.L)
    evidence = exact.log_evidence(world, all_documents)
    assert not evidence.isnan().any()
    return all_documents[evidence == -torch.inf], all_documents[evidence > -torch.inf]


def test_everything_given_an_impossible_document_is_minus_infinity(world_with_zeros):
    world = world_with_zeros
    impossible, possible = impossible_document(world)
    assert len(impossible) and len(possible)
    d2 = possible[:1].expand(len(impossible), -1)
    for result in (
        exact.concept_log_posterior(world, impossible),
        exact.concept_log_posterior(world, d2, impossible),
        exact.log_predictive(world, d2, impossible),
        exact.log_predictive(world, impossible, d2),
        exact.next_token_log_probs(world, d2, impossible),
    ):
        assert (result == -torch.inf).all()
    with pytest.raises(WorldError, match="never produces"):
        exact.sample_related(world, torch.Generator(), impossible)


def test_next_tokens_are_a_law_up_to_the_impossible_one_and_nothing_after_it(world_with_zeros):
    world = world_with_zeros
    impossible, possible = impossible_document(world)
    given = possible[:1].expand(len(impossible), -1)
    for conditioning in ((), (given,)):
        log_probs = exact.next_token_log_probs(world, impossible, *conditioning)
        assert not log_probs.isnan().any()
        total = log_probs.exp().sum(-1)
        seen = log_probs.gather(2, impossible[..., None])[..., 0].cumsum(1)
        alive = torch.cat([torch.ones(len(seen), 1, dtype=torch.bool), seen[:, :-1] > -torch.inf], 1)
        torch.testing.assert_close(total, alive.double())
        assert (seen[:, -1] == exact.log_predictive(world, impossible, *conditioning)).all()


def test_entropy_of_certainty_is_zero(world_with_zeros):
    world = world_with_zeros
    certain = torch.tensor([[0.0] + [-torch.inf] * (world.C - 1)], dtype=torch.float64)
    assert world.belief_entropy(certain).item() == 0
    figures = exact.information(world, 1000, torch.Generator().manual_seed(0))
    assert 0 <= figures.H_c_given_d1 <= figures.H_c


def test_long_documents_do_not_underflow():
    generator = torch.Generator().manual_seed(0)
    for name in ("bow", "hmm"):
        world = make_world(name, concepts=3, vocabulary=50, length=3000, overlap=0.2)
        d1 = world.sample(2, generator).tokens
        evidence = exact.log_evidence(world, d1)
        assert (evidence < -1000).all() and torch.isfinite(evidence).all()
        tokens = exact.next_token_log_probs(world, d1).gather(2, d1[..., None]).sum((1, 2))
        torch.testing.assert_close(tokens, evidence, rtol=1e-11, atol=0)


@pytest.mark.parametrize("world_with_zeros", ["bow with zeros", "hmm with zeros"], indirect=True)
def test_a_concept_ruled_out_early_stays_out_of_a_long_document(world_with_zeros):
    """Words 2 and 0 in the middle leave no concept, for all the rescalings that follow."""
    world = type(world_with_zeros)(**world_with_zeros.parameters(), length=60)
    document = torch.ones(1, 60, dtype=torch.int64)
    document[0, 20], document[0, 30] = 2, 0
    assert (world.log_likelihood(document) == -torch.inf).all()
    assert not world.token_log_likelihood(document).isnan().any()
    assert (exact.concept_log_posterior(world, document) == -torch.inf).all()
    log_probs = exact.next_token_log_probs(world, document)
    assert torch.isfinite(log_probs[0, :20, 1]).all() and (log_probs[0, 31:] == -torch.inf).all()


def test_a_state_too_improbable_for_float64_can_come_back():
    """Two states that never mix, 1e-3 times as likely each token: after 200 tokens 1e-600, then the only one left."""
    values = dict(dtype=torch.float64)
    world = ConceptHMM(
        torch.ones(1, **values),
        torch.tensor([[0.5, 0.5]], **values),
        torch.eye(2, **values)[None],
        torch.tensor([[[0.9, 0.1, 0.0], [0.0009, 0.1, 0.8991]]], **values),
        201,
    )
    document = torch.tensor([[0] * 200 + [2]])
    expected = torch.tensor([0.5, 0.0009, 0.8991], **values).log() @ torch.tensor([1.0, 200.0, 1.0], **values)
    assert exact.log_evidence(world, document).item() == pytest.approx(expected.item(), abs=1e-9)
    tokens = exact.next_token_log_probs(world, document)
    assert tokens.gather(2, document[..., None]).sum().item() == pytest.approx(expected.item(), abs=1e-9)
    assert world.token_log_likelihood(document).sum().item() == pytest.approx(expected.item(), abs=1e-9)
    by_concept = world.next_token_log_likelihood(document)[:, 0].gather(2, document[..., None])
    assert by_concept.sum().item() == pytest.approx(expected.item(), abs=1e-9)


@pytest.mark.parametrize("kind", ["bow", "hmm"])
def test_a_concept_too_improbable_for_float64_can_come_back(kind):
    """400 words rule concept 1 out but for 1e-1200; then comes a word that only concept 1 has."""
    values = dict(dtype=torch.float64)
    prior, words = torch.tensor([0.5, 0.5], **values), torch.tensor([[1.0, 0.0], [0.001, 0.999]], **values)
    if kind == "bow":
        world = BagOfWords(prior, words, 401)
    else:
        world = ConceptHMM(prior, torch.ones(2, 1, **values), torch.ones(2, 1, 1, **values), words[:, None], 401)
    document = torch.tensor([[0] * 400 + [1]])
    expected = torch.tensor([0.5, 0.001, 0.999], **values).log() @ torch.tensor([1.0, 400.0, 1.0], **values)
    assert exact.log_evidence(world, document).item() == pytest.approx(expected.item(), abs=1e-8)
    tokens = exact.next_token_log_probs(world, document).gather(2, document[..., None])
    assert tokens.sum().item() == pytest.approx(expected.item(), abs=1e-8)
    assert exact.concept_log_posterior(world, document)[0].tolist() == [-torch.inf, 0.0]


def test_tiny_probabilities_go_by_log_space_throughout():
    """Where one step can underflow the scaled algorithm is not used at all."""
    values = dict(dtype=torch.float64)
    emission = torch.tensor([[[1.0, 1e-250], [1e-250, 1.0]]], **values)
    models = hmm_forward.HiddenMarkovModels(
        torch.tensor([[0.5, 0.5]], **values), torch.tensor([[[0.5, 0.5], [0.5, 0.5]]], **values), emission
    )
    assert models.block == 0
    tokens = torch.tensor([[0, 1, 1, 0]])
    assert hmm_forward.log_likelihood(models, tokens).item() == pytest.approx(-4 * torch.tensor(2.0).log().item())


@pytest.mark.parametrize(
    "tokens",
    [torch.tensor([[0, 3]]), torch.tensor([[0, -1]]), torch.tensor([0, 1]), torch.zeros(1, 5, dtype=torch.int64)],
)
def test_what_is_no_document_is_refused(world_with_zeros, tokens):
    world = world_with_zeros
    with pytest.raises(WorldError, match="expected"):
        exact.log_evidence(world, tokens)
    with pytest.raises(WorldError, match="expected"):
        exact.log_predictive(world, torch.zeros(1, 4, dtype=torch.int64), torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(WorldError, match="at least one document"):
        exact.concept_log_posterior(world)


def test_parameters_that_are_no_distributions_are_refused():
    with pytest.raises(WorldError, match=r"world bow: words \(1, 2\): expected float64 rows that sum to one"):
        BagOfWords(torch.ones(1, dtype=torch.float64), torch.tensor([[0.5, 0.4]], dtype=torch.float64), 3)
