"""A model over several processes: FSDP2 from outside, so that the model's own files know nothing of it.

Every block is a unit of its own: its weights are gathered before it runs, dropped after it, and its gradients are
summed and scattered as soon as they are there. Weights, gradients and optimiser states stay sharded on dimension 0.
"""

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.training.compilation import compiled, wants_compiling
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.parallel import Parallel

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

FORWARD = ("token_losses", "weighted_nats")  # methods that run the model, besides `forward`


def on_meta(config: ModelConfig) -> Transformer:
    """A model without memory: shapes alone, to be sharded by `place` before `fill` gives it weights."""
    with torch.device("meta"):
        return Transformer(config)


def place(model: Transformer, parallel: Parallel, config: TrainingConfig) -> Transformer:
    """Put ``model`` where ``parallel`` and ``config`` want it, in place: on its device, or sharded over the mesh.

    Its blocks run again in the backward pass where ``config`` asks for it, and each is compiled where the model is
    sharded and compiling pays. A model that is sharded already stays so.
    """
    by_block = parallel.mesh is not None and wants_compiling(config, parallel.device)
    if config.optimiser == "adamw-bf16" and config.precision == "bfloat16":
        model.to(torch.bfloat16)  # its stochastic rounding makes a float32 copy needless
    for block in model.layers:
        vars(block).pop("forward", None)  # of an earlier run with other settings
        if by_block:
            block.forward = compiled(block.forward)
        if config.activation_checkpointing:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
    if parallel.mesh is None:
        return model.to(parallel.device)
    if by_block:
        # A compiled block's output is a view; FSDP warns of changing it in place, which the model never does.
        view = "FSDP2-wrapped module .* returned a view tensor"
        warnings.filterwarnings("ignore", message=view, category=UserWarning)
    shard(model, parallel.mesh, config.precision)
    return model


def shard(model: Transformer, mesh: "DeviceMesh", precision: str) -> None:
    """Shard ``model`` over ``mesh`` in place; a model that is sharded already stays as it is.

    precision ``bfloat16``: weights are gathered in bfloat16, whatever they are kept in; gradients are summed in
    float32.
    """
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    if isinstance(model, FSDPModule):
        return
    low = torch.bfloat16 if precision == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in model.layers:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    for method in FORWARD:
        register_fsdp_forward_method(model, method)


def fill(model: Transformer, generator: torch.Generator, device: torch.device) -> Transformer:
    """Give a sharded model without memory the weights of `Transformer.init`, to the last bit.

    Each process draws each weight whole, on the host, and keeps its shard: no more than one weight at a time is in
    memory, nothing is sent, and the number of processes has no part in the result.
    """
    model.to_empty(device=device)
    for name, weight in model.named_parameters():
        whole = torch.empty(weight.shape, dtype=weight.dtype)
        model.init_weight(name, whole, generator)
        _copy(whole, weight)
    return model


def load(model: Transformer, weights: dict[str, Tensor], device: torch.device) -> None:
    """Copy weights by name, whole or sharded as the model's own, into ``model`` on ``device``."""
    if model.norm.weight.is_meta:
        model.to_empty(device=device)
    for name, weight in weights_of(model).items():
        _copy(weights[name], weight)


def weights_of(model: Transformer) -> dict[str, Tensor]:
    """The model's weights by name, each process's shards of them where it is sharded.

    FSDP leaves embedding and head gathered after an evaluation, for a backward pass that does not come.
    """
    if hasattr(model, "reshard"):
        model.reshard()
    return {name: weight.detach() for name, weight in model.named_parameters()}


def whole_weights(model: Transformer, keep: bool) -> dict[str, Tensor]:
    """Each weight in full, on the host. All processes take part; those that do not ``keep`` get nothing."""
    kept = {}
    for name, weight in weights_of(model).items():
        whole = weight.full_tensor() if is_sharded(weight) else weight
        if keep:
            kept[name] = whole.cpu().contiguous()
    return kept


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor lives in pieces on several processes (DTensor)."""
    return hasattr(tensor, "full_tensor")


def sharded_as_weights(tensor: Tensor, mesh: "DeviceMesh | None") -> Tensor:
    """A whole tensor that every process has, sharded as FSDP shards a weight of its shape; nothing is sent."""
    if mesh is None or tensor.dim() == 0 or is_sharded(tensor):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, mesh, placements(mesh), src_data_rank=None)


def placements(mesh: "DeviceMesh") -> list[Any]:
    """How FSDP lays a weight out: dimension 0 in shards, over the last dimension of ``mesh``; copies over the first."""
    from torch.distributed.tensor import Replicate, Shard

    return [Replicate()] * (mesh.ndim - 1) + [Shard(0)]


@torch.no_grad()
def _copy(source: Tensor, target: Tensor) -> None:
    if is_sharded(target):
        target.to_local().copy_(sharded_as_weights(source, target.device_mesh).to_local())
    else:
        target.copy_(source)
