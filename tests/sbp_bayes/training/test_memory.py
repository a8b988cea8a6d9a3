"""The sharding plan of the paper's models over 64 processes that do not exist."""

import pytest
import torch
from torch.distributed.tensor import Replicate, Shard

from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.model.sizes import model_config
from sbp_bayes.training.memory import activation_numbers, memory_per_process, pretended_processes, sharded_plan

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
    assert memory.activations == 2 * 8192 * (26 * 3072 + 52_864)
    assert memory.loss == 14 * 8192 * VOCABULARY
    low = memory_per_process(config, 64, tokens=8192, optimiser="adamw-bf16")
    assert (low.parameters, low.optimiser) == (memory.parameters // 2, memory.optimiser // 2)
    copies = memory_per_process(config, 64, tokens=8192, replicas=8)
    assert copies.parameters == pytest.approx(8 * memory.parameters, rel=0.01)
    assert copies.gathered == memory.gathered and copies.activations == memory.activations
    whole = memory_per_process(config, 64, tokens=8192, activation_checkpointing=False)
    assert whole.activations == 2 * 8192 * 26 * 52_864


def test_copies_that_do_not_divide_the_processes_are_refused():
    with pytest.raises(UserError, match="replicas: 3 copies"):
        memory_per_process(model_config("0.1M", 35), 64, 64, replicas=3)


def test_the_formula_of_activations_is_what_autograd_keeps(make_model, make_corpus, random_documents, tokenizer):
    """Plain PyTorch on a CPU keeps some more: the parts of norm, rotation and SwiGLU that kernels compute again."""
    model = make_model(layers=2, width=64, heads=4, kv_heads=2, head_dim=16, hidden=96)
    packed = Packed(DocumentSequences(make_corpus(random_documents(64, 9, 9)), tokenizer), 10, 0)
    batch = packed.batch(range(64))
    kept: dict[int, int] = {}
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights and tensor.is_floating_point():
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = model.hidden(batch.inputs, **batch.attention)
    numbers = sum(kept.values()) / 4 / batch.inputs.numel()
    assert hidden.requires_grad and 1 < numbers / activation_numbers(model.config, False) < 2
