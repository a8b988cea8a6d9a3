"""The weighted loss and held-out evaluation."""

import numpy as np
import pytest
import torch

from sbp_bayes.documents.packing import DocumentSequences, Packed, PairSequences
from sbp_bayes.errors import UserError
from sbp_bayes.training.objective import EVALUATION_SLOTS, evaluate, weighted_loss

PAIRS = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]])


@pytest.fixture
def corpus(make_corpus, random_documents):
    return make_corpus(random_documents(30, 2, 9))


def nats_alone(model, sequences, i: int) -> float:
    tokens, weights = sequences.sequence(i)
    log_probs = model(torch.from_numpy(tokens[:-1])[None])[0].detach().double().log_softmax(-1).numpy()
    return -float((weights * log_probs[np.arange(len(weights)), tokens[1:]]).sum())


@pytest.mark.parametrize("context", [10, 23])
def test_each_document_gets_its_own_nats_in_corpus_order(make_model, corpus, tokenizer, context):
    model, sequences = make_model(), DocumentSequences(corpus, tokenizer)
    result = evaluate(model, Packed(sequences, context, 0))
    expected = np.array([nats_alone(model, sequences, i) for i in range(len(corpus))])
    np.testing.assert_allclose(result.documents, expected, rtol=1e-5)
    assert result.nats == pytest.approx(expected.sum() / sequences.lengths.sum(), rel=1e-6)
    assert result.weight == result.tokens == sequences.lengths.sum()


def test_evaluation_in_several_batches_is_the_same(make_model, corpus, tokenizer, monkeypatch):
    model, packed = make_model(), Packed(DocumentSequences(corpus, tokenizer), 23, 0)
    whole = evaluate(model, packed)
    assert len(packed) * 23 < EVALUATION_SLOTS
    monkeypatch.setattr("sbp_bayes.training.objective.EVALUATION_SLOTS", 50)
    np.testing.assert_allclose(evaluate(model, packed).documents, whole.documents, rtol=1e-6)


def test_only_the_second_document_of_a_pair_counts(make_model, corpus, tokenizer):
    model, sequences = make_model(), PairSequences(corpus, PAIRS, tokenizer)
    result = evaluate(model, Packed(sequences, 40, 0))
    np.testing.assert_allclose(result.documents, [nats_alone(model, sequences, i) for i in range(5)], rtol=1e-5)
    assert result.weight == sum(corpus.lengths[j] + 1 for _, j in PAIRS)
    assert result.tokens == sequences.lengths.sum()


def test_predictions_of_the_first_document_have_no_gradient(make_model, corpus, tokenizer):
    model = make_model()
    batch = Packed(PairSequences(corpus, PAIRS, tokenizer), 40, 0).batch(np.arange(2))
    changed = torch.where(batch.weights > 0, batch.targets, (batch.targets + 1) % 11)
    gradients = []
    for targets in (batch.targets, changed):
        model.zero_grad()
        weighted_loss(model, batch.inputs, targets, batch.weights, **batch.attention).backward()
        gradients.append(torch.cat([w.grad.flatten() for w in model.parameters()]))
    assert gradients[0].abs().max() > 0
    assert torch.equal(*gradients)


def test_a_weight_scales_its_token(make_model):
    model = make_model()
    inputs, targets = torch.tensor([[11, 3, 1]]), torch.tensor([[3, 1, 13]])
    losses = model.token_losses(inputs, targets)[0]
    loss = weighted_loss(model, inputs, targets, torch.tensor([[0.5, 0.0, 2.0]]))
    torch.testing.assert_close(loss, 0.5 * losses[0] + 2 * losses[2])


def test_a_set_in_which_nothing_counts_is_an_error(make_model, corpus, tokenizer):
    sequences = DocumentSequences(corpus, tokenizer)
    sequences.sequence = lambda i: (np.zeros(sequences.lengths[i] + 1, int), np.zeros(sequences.lengths[i], np.float32))
    with pytest.raises(UserError, match="no target has a weight"):
        evaluate(make_model(), Packed(sequences, 10, 0))
