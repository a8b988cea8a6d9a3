"""What one of many GPUs has to hold to train a model, from its sharding plan: no GPU and no other process is needed.

Weights, gradients and optimiser states are counted on the plan itself: the model is sharded on the meta device by a
process group that only pretends (PyTorch's ``fake`` backend). What is gathered for a while, activations and the loss
are formulas. PyTorch's own overhead (context, NCCL buffers, fragmentation: some GB a GPU) is not in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch.distributed as dist

from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.training.sharding import on_meta, shard

# Bytes of optimiser state a weight: (matrices of the blocks, the rest).
STATE_BYTES = {"adamw": (8, 8), "muon": (4, 8), "adamw-bf16": (4, 4)}
# Bytes a logit of cross-entropy in plain PyTorch: in bfloat16 (2), in float32 (4), log-probabilities (4), gradient (4).
LOGIT_BYTES = 14


@dataclass(frozen=True)
class Memory:
    """Bytes that one process holds.

    parameters, gradients, optimiser: its shards, all the time; gathered: whole weights and gradients of the blocks at
    work, of embedding and head; activations: of its part of a batch, at the end of the forward pass; loss: logits and
    what is made of them, gone where the linear cross-entropy kernel runs, which keeps a chunk of them.
    """

    parameters: int
    gradients: int
    optimiser: int
    gathered: int
    activations: int
    loss: int

    @property
    def total(self) -> int:
        """The sum: an upper bound of the peak, which has all of them at once only where the loss meets the blocks."""
        return self.parameters + self.gradients + self.optimiser + self.gathered + self.activations + self.loss


def memory_per_process(
    config: ModelConfig,
    processes: int,
    tokens: int,
    replicas: int = 1,
    rank: int = 0,
    precision: str = "bfloat16",
    optimiser: str = "adamw",
    activation_checkpointing: bool = True,
) -> Memory:
    """Memory of process ``rank`` of ``processes`` that train a model of shape ``config``.

    tokens: that go through the model at once in this process, its share of a batch divided by the accumulation.
    """
    work = 2 if precision == "bfloat16" else 4
    kept = 2 if optimiser == "adamw-bf16" and precision == "bfloat16" else 4
    with pretended_processes(processes, rank):
        model = sharded_plan(config, processes, replicas, precision)
        local = {name: weight.to_local().numel() for name, weight in model.named_parameters()}
        shapes = {name: weight for name, weight in model.named_parameters()}
        hidden = sum(n for name, n in local.items() if name.startswith("layers.") and shapes[name].dim() == 2)
        block = sum(weight.numel() for weight in model.layers[0].parameters())
        root = model.parameters_count - config.layers * block
    of_hidden, of_rest = STATE_BYTES[optimiser]
    own = sum(local.values())
    return Memory(
        parameters=kept * own,
        gradients=kept * own,
        optimiser=of_hidden * hidden + of_rest * (own - hidden),
        gathered=_gathered(root, block, work),
        activations=work * tokens * activation_numbers(config, activation_checkpointing),
        loss=LOGIT_BYTES * tokens * config.vocabulary_size,
    )


def activation_numbers(config: ModelConfig, activation_checkpointing: bool) -> int:
    """Numbers a token that wait for the backward pass: of every block, or each block's input and one block's."""
    block = sum(block_activations(config).values())
    return config.layers * config.width + block if activation_checkpointing else config.layers * block


def block_activations(config: ModelConfig) -> dict[str, int]:
    """Numbers a token that each part of a block keeps.

    norms: their inputs, the block's and the residual stream after attention. attention: its input, queries and keys
    before their norm and rotated, values, what attention gives. mlp: its input, gate, silu(gate), up and their product.
    For plain PyTorch with norms in one piece, as they are on a GPU; the SwiGLU kernel and torch.compile compute
    silu(gate) again, ``hidden`` numbers less. One number a head or a row, such as a norm's scale, is not counted.
    """
    width, queries, keys = config.width, config.heads * config.head_dim, config.kv_heads * config.head_dim
    return {
        "norms": 2 * width,
        "attention": width + 2 * (queries + keys) + keys + queries,
        "mlp": width + 4 * config.hidden,
    }


def sharded_plan(config: ModelConfig, processes: int, replicas: int, precision: str) -> Transformer:
    """A model without memory, sharded as `sbp_bayes.training.sharding` shards it over a group that is there."""
    from torch.distributed.device_mesh import init_device_mesh

    if replicas < 1 or processes % replicas:
        raise UserError(f"replicas: {replicas} copies of the model do not divide {processes} processes")
    shape = (processes,) if replicas == 1 else (replicas, processes // replicas)
    names = ("shard",) if replicas == 1 else ("replicate", "shard")
    model = on_meta(config)
    shard(model, init_device_mesh("cpu", shape, mesh_dim_names=names), precision)
    return model


@contextmanager
def pretended_processes(processes: int, rank: int) -> Iterator[None]:
    """This process as number ``rank`` of a group whose other members do not exist and whose collectives do nothing.

    Raises UserError in a process that belongs to a group already: it trains, or has trained a sharded model.
    """
    if dist.is_initialized():
        raise UserError("memory of many processes: this process belongs to a group already; ask in a fresh one")
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=processes)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _gathered(root: int, block: int, work: int) -> int:
    """Bytes of whole weights and gradients at the fuller of two moments of the backward pass.

    In a block: embedding and head with their gradients, the block and the next one on its way, the block's gradient
    and its float32 copy on the way to its owners. At the end: embedding and head, their gradients, the copy of those.
    """
    return max(2 * work * root + (3 * work + 4) * block, (2 * work + 4) * root)
