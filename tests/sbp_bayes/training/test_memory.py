"""The sharding plan of the paper's models over 64 processes that do not exist."""

from collections.abc import Callable, Iterable

import pytest
import torch
import training_runs
from torch.distributed.tensor import Replicate, Shard

from sbp_bayes.errors import UserError
from sbp_bayes.model.sizes import model_config
from sbp_bayes.training import parallel
from sbp_bayes.training.memory import (
    activation_numbers,
    block_activations,
    memory_per_process,
    pretended_processes,
    sharded_plan,
)

VOCABULARY = 49_155


@pytest.mark.parametrize(("size", "replicas"), [("3B", 1), ("6B", 1), ("3B", 8)])
def test_every_weight_is_shared_out_evenly(size, replicas):
    for rank in (0, 63):
        with pretended_processes(64, rank):
            model = sharded_plan(model_config(size, VOCABULARY), 64, replicas, "bfloat16")
            placements = [Shard(0)] if replicas == 1 else [Replicate(), Shard(0)]
            assert all(list(weight.placements) == placements for weight in model.parameters())
            held = sum(weight.to_local().numel() for weight in model.parameters())
            share = model.parameters_count / (64 // replicas)
        assert held == pytest.approx(share, rel=0.01), rank


def test_bytes_of_3b_on_64_processes():
    config = model_config("3B", VOCABULARY)
    memory = memory_per_process(config, 64, tokens=8192)
    block = 2 * 3072 * 3072 + 2 * 3072 * 1024 + 3 * 3072 * 8064 + 2 * 3072 + 2 * 128
    weights = 26 * block + 3072 * (2 * VOCABULARY + 1)
    assert memory.parameters == pytest.approx(4 * weights / 64, rel=0.01)
    assert (memory.gradients, memory.optimiser) == (memory.parameters, 2 * memory.parameters)
    assert memory.activations == 2 * 8192 * (26 * 3072 + 56_832)
    assert memory.loss == 14 * 8192 * VOCABULARY
    low = memory_per_process(config, 64, tokens=8192, optimiser="adamw-bf16")
    assert (low.parameters, low.optimiser) == (memory.parameters // 2, memory.optimiser // 2)
    copies = memory_per_process(config, 64, tokens=8192, replicas=8)
    assert copies.parameters == pytest.approx(8 * memory.parameters, rel=0.01)
    assert copies.gathered == memory.gathered and copies.activations == memory.activations
    whole = memory_per_process(config, 64, tokens=8192, activation_checkpointing=False)
    assert whole.activations == 2 * 8192 * 26 * 56_832


def test_copies_that_do_not_divide_the_processes_are_refused():
    for replicas in (3, 0, -1):
        with pytest.raises(UserError, match=f"replicas: {replicas} copies"):
            memory_per_process(model_config("0.1M", 35), 64, 64, replicas=replicas)


def kept(run: Callable[[], object], known: Iterable[torch.Tensor]) -> float:
    """Floating-point numbers that ``run`` keeps for its backward pass, those of ``known`` tensors left out."""
    left_out = {tensor.untyped_storage().data_ptr() for tensor in known}
    found: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in left_out and tensor.is_floating_point():
            found[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()  # alive until all is counted, and with it what it keeps
    assert result is not None
    return sum(tensor.untyped_storage().nbytes() / tensor.element_size() for tensor in found.values())


def test_the_formula_of_activations_is_what_autograd_keeps_part_by_part(make_model):
    """Within 3 %: a number a head and token, such as a norm's scale, is not in the formula."""
    model = make_model(layers=3, width=96, heads=4, kv_heads=2, head_dim=32, hidden=200)
    rows, length = 2, 64
    block, x = model.layers[0], torch.randn(rows, length, 96, requires_grad=True)
    reading = model._reading(torch.zeros(rows, length, dtype=torch.long), None, None, None, 0, True)
    known = [*model.parameters(), reading.cos, reading.sin]
    norms = block.input_layernorm, block.post_attention_layernorm
    parts = {
        "norms": lambda: [norm(x.clone()) for norm in norms],
        "attention": lambda: block.self_attn(x, 0, reading, None),
        "mlp": lambda: block.mlp(x),
    }
    found = {name: kept(run, known) / (rows * length) for name, run in parts.items()}
    assert found == {name: pytest.approx(n, rel=0.03) for name, n in block_activations(model.config).items()}
    of_block = kept(lambda: block(x, 0, reading, None), known) / (rows * length)
    assert 3 * of_block == pytest.approx(activation_numbers(model.config, False), rel=0.03)


def test_a_process_that_trained_in_bfloat16_is_told_to_ask_in_another(tmp_path):
    training_runs.lines_of(tmp_path, {"precision": "bfloat16", "steps": 1})
    try:
        with pytest.raises(UserError, match="this process belongs to a group already; ask in a fresh one"):
            memory_per_process(model_config("0.1M", 35), 64, 64)
    finally:
        parallel.leave()
    assert memory_per_process(model_config("0.1M", 35), 64, 64).parameters > 0
