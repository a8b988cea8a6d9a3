import pytest
import torch

from analysis.excess_loss import excess_loss, mean_loss


def test_exact_bayes_has_no_excess():
    log_probs = torch.randn(10)
    found = excess_loss(log_probs, log_probs, torch.full((10,), 4))
    assert (found.per_token, found.per_token_se, found.per_document) == (0, 0, 0)


def test_excess_is_paired():
    """What documents have in common cancels: hard documents do not widen the error."""
    exact = torch.tensor([-10.0, -50.0, -30.0], dtype=torch.float64)
    found = excess_loss(exact - 0.4, exact, torch.full((3,), 4))
    assert found.per_token == pytest.approx(0.1)
    assert found.per_document == pytest.approx(0.4)
    assert found.per_document_se == pytest.approx(0.0, abs=1e-12)


def test_documents_of_many_lengths_weigh_by_their_tokens():
    nats, tokens = torch.tensor([2.0, 30.0]), torch.tensor([1, 10])
    found = mean_loss(nats, tokens)
    assert found.per_token == pytest.approx(32 / 11)
    assert found.per_document == pytest.approx(16)


def test_standard_error_of_the_ratio_is_honest():
    generator = torch.Generator().manual_seed(0)
    estimates, errors = [], []
    for _ in range(300):
        tokens = torch.randint(1, 30, (80,), generator=generator)
        nats = 3.0 * tokens + tokens**0.5 * torch.randn(80, generator=generator)
        found = mean_loss(nats, tokens)
        estimates.append(found.per_token)
        errors.append(found.per_token_se)
    assert torch.tensor(estimates).std().item() == pytest.approx(sum(errors) / 300, rel=0.15)
