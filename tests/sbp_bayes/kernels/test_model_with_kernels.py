"""The whole model with kernels against the same model without: training, scoring, and compiling as one graph."""

import pytest
import torch
from relative_rule import assert_as_good

from sbp_bayes import kernels
from sbp_bayes.model.transformer import ModelConfig, Transformer

STEPS = 32
CONFIG = ModelConfig(vocabulary_size=19, width=8, layers=1, heads=2, kv_heads=1, head_dim=4, hidden=12)
PACKED = {
    "document_ids": torch.tensor([[1, 1, 2, 2, 2], [1, 1, 1, 1, 0]]),
    "positions": torch.tensor([[0, 1, 0, 1, 2], [0, 1, 2, 3, 0]]),
}
rows = pytest.mark.parametrize("packed", [False, True])


def batch():
    tokens = torch.randint(CONFIG.vocabulary_size, (2, 6), generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.5], [1.0, 1.0, 0.0, 2.0, 0.0]])
    return tokens[:, :-1], tokens[:, 1:], weights


def model():
    return Transformer(CONFIG).init(torch.Generator().manual_seed(1))


def losses(dtype, mode, packed):
    """Of each of `STEPS` steps of AdamW on one batch."""
    with kernels.forced(mode):
        trained = model().to(dtype)
        optimiser = torch.optim.AdamW(trained.parameters(), lr=1e-2)
        found = []
        for _ in range(STEPS):
            loss = trained.weighted_nats(*batch(), **(PACKED if packed else {}))
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            found.append(loss.detach().double())
    return torch.stack(found)


@pytest.mark.interpreter
@rows
def test_every_step_of_training_has_the_same_loss(packed):
    exact, plain = losses(torch.float64, "off", packed), losses(torch.float32, "off", packed)
    ours = losses(torch.float32, "on", packed)
    assert exact[-1] < exact[0] / 2
    allowed = 2 * (plain - exact).abs() + 1e-6 * exact[0]
    assert ((ours - exact).abs() <= allowed).all()
    assert not torch.equal(ours, plain), "the kernels did not run"


@pytest.mark.interpreter
@rows
def test_scores_are_the_same(packed):
    tokens, targets, _ = batch()
    found = []
    for mode, dtype in (("on", torch.float32), ("off", torch.float64)):
        with kernels.forced(mode), torch.no_grad():
            found.append(model().to(dtype).token_losses(tokens, targets, **(PACKED if packed else {})).double())
    torch.testing.assert_close(*found, rtol=0, atol=2e-6)


@pytest.mark.interpreter
@rows
def test_compiles_as_one_graph(packed):
    trained = model()
    compiled = torch.compile(trained.weighted_nats, fullgraph=True, backend="aot_eager")
    results = []
    for function in (trained.weighted_nats, compiled):
        trained.zero_grad()
        function(*batch(), **(PACKED if packed else {})).backward()
        results.append([weight.grad.clone() for weight in trained.parameters()])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.interpreter
def test_trains_under_autocast_compiled_or_not():
    def run(mode, dtype=torch.float32, low=True, compiled=False):
        trained = model().to(dtype)
        function = torch.compile(trained.weighted_nats, fullgraph=True, backend="aot_eager")
        with kernels.forced(mode), torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = (function if compiled else trained.weighted_nats)(*batch())
        loss.backward()
        return [loss.detach(), *(weight.grad for weight in trained.parameters())]

    exact, plain = run("off", torch.float64, low=False), run("off")
    for compiled in (False, True):
        for triple in zip(run("on", compiled=compiled), plain, exact, strict=True):
            assert_as_good(*triple)


@pytest.mark.interpreter
def test_the_compiled_graph_holds_every_kernel_of_the_model():
    seen = []

    def look(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    torch.compile(model().weighted_nats, fullgraph=True, backend=look)(*batch())
    for op in ("add_rms_norm", "norm_rope", "swiglu", "linear_cross_entropy_sum"):
        assert any(f"sbp_bayes.{op}" in name for name in seen), f"{op} is not in {sorted(set(seen))}"
