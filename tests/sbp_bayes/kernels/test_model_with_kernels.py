"""The whole model with kernels against the same model without: training, and compiling."""

import pytest
import torch

from sbp_bayes import kernels
from sbp_bayes.model.transformer import ModelConfig, Transformer

STEPS = 32
CONFIG = ModelConfig(vocabulary_size=19, width=8, layers=1, heads=2, kv_heads=1, head_dim=4, hidden=12)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(CONFIG.vocabulary_size, (2, 6), generator=generator)
    weights = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.5], [1.0, 1.0, 0.0, 2.0, 0.0]])
    return tokens[:, :-1], tokens[:, 1:], weights


def losses(dtype, mode):
    """Of each of `STEPS` steps of AdamW on one batch."""
    with kernels.forced(mode):
        model = Transformer(CONFIG).init(torch.Generator().manual_seed(1)).to(dtype)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
        found = []
        for _ in range(STEPS):
            loss = model.weighted_nats(*batch())
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            found.append(loss.detach().double())
    return torch.stack(found)


@pytest.mark.interpreter
def test_every_step_of_training_has_the_same_loss():
    exact, plain, ours = (losses(torch.float64, "off"), losses(torch.float32, "off"), losses(torch.float32, "on"))
    assert exact[-1] < exact[0] / 2
    allowed = 2 * (plain - exact).abs() + 1e-6 * exact[0]
    assert ((ours - exact).abs() <= allowed).all()
    assert not torch.equal(ours, plain), "the kernels did not run"


@pytest.mark.interpreter
def test_compiles_as_one_graph():
    model = Transformer(CONFIG).init(torch.Generator().manual_seed(1))
    compiled = torch.compile(model.weighted_nats, fullgraph=True, backend="aot_eager")
    results = []
    for function in (model.weighted_nats, compiled):
        model.zero_grad()
        function(*batch()).backward()
        results.append([weight.grad.clone() for weight in model.parameters()])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
