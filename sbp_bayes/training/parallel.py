"""The processes that train one model together, and what they have to agree on."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

T = TypeVar("T")
_groups_of_one: dict[str, "Parallel"] = {}  # of `alone`, by device, for as long as the process's group lasts


class Parallel:
    """One of ``size`` processes, number ``rank``; each has a share of every batch and, with a mesh, of every weight.

    mesh: of one dimension, over which weights are sharded (FSDP), or of two, copies of the model x shards of a copy
    (HSDP); None for a process on its own, which holds the model as it is.

    `host` carries numbers and objects between the hosts, apart from the tensors of a GPU, so that agreeing on them
    never waits for the GPU; `saving` is the group of the thread that writes checkpoints: two threads can't share one.
    """

    def __init__(self, device: torch.device | str, mesh: "DeviceMesh | None" = None):
        self.device, self.mesh = torch.device(device), mesh
        self.rank, self.size = 0, 1
        if mesh is not None:
            import torch.distributed as dist

            self.rank, self.size = dist.get_rank(), dist.get_world_size()
            self.host, self.saving = (dist.new_group(backend="gloo") for _ in range(2))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def part_of(self, batch_rows: int) -> slice:
        """This process's rows of a batch: equal stretches in the order of the processes."""
        assert batch_rows % self.size == 0
        share = batch_rows // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def totals(self, *values: float) -> list[float]:
        """Sums of numbers over the processes, the same in all of them."""
        if self.size == 1:
            return list(values)
        return self.sum_on_hosts(torch.tensor(values, dtype=torch.float64)).tolist()

    def sum_on_hosts(self, values: Tensor) -> Tensor:
        """Sum ``values``, in the host's memory, in place over the processes."""
        if self.size > 1:
            import torch.distributed as dist

            dist.all_reduce(values, group=self.host)
        return values

    def sum(self, values: Tensor) -> Tensor:
        """Sum ``values`` in place over the processes, on the device where they are."""
        if self.size > 1:
            import torch.distributed as dist

            dist.all_reduce(values)
        return values

    def every(self, value: T) -> list[T]:
        """Each process's ``value``, in the order of the processes."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list = [None] * self.size
        dist.all_gather_object(values, value, group=self.host)
        return values

    def on_first(self, work: Callable[[], None]) -> None:
        """Let the first process do ``work`` while the others wait; its UserError is raised in all of them."""
        self.together(work if self.first else lambda: None)

    def together(self, work: Callable[[], T]) -> T:
        """Do ``work`` in every process; a UserError of any is raised in all, so that none waits for a lost one."""
        result, error = None, ""
        try:
            result = work()
        except UserError as raised:
            if self.size == 1:
                raise
            error = str(raised)
        errors = [message for message in self.every(error) if message]
        if errors:
            raise UserError(errors[0])
        return result


def launched() -> bool:
    """Whether torchrun (or another launcher that sets its variables) started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def start(device: str = "auto", replicas: int = 1) -> Parallel:
    """Join the processes that torchrun started: NCCL between GPUs, one a process, and gloo between CPUs.

    replicas: copies of the model that are kept apart (HSDP); 1 shards one copy over all processes (FSDP). A model's
    shards should fit one node's fast links, so that at most as many copies as nodes are worth having.
    Raises UserError where ``replicas`` does not divide the processes, or a GPU is missing.
    """
    import torch.distributed as dist

    size, local = int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0"))
    if replicas < 1 or size % replicas:
        raise UserError(f"replicas: {replicas} copies of the model do not divide {size} processes")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        if local >= torch.cuda.device_count():
            raise UserError(f"process {local} of this machine has no GPU: there are {torch.cuda.device_count()}")
        torch.cuda.set_device(local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    return Parallel(_device(device), _mesh(device, size, replicas))


def alone(device: torch.device | str, sharded: bool = False) -> Parallel:
    """This process on its own; ``sharded``: as a group of one, for what only a sharded model offers (bfloat16).

    The group stays, for the models that were sharded over it, and serves every later run of the process.
    Raises UserError where a GPU is asked for and there is none.
    """
    kind = torch.device(device).type
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {device}: PyTorch finds no CUDA device")
    if not sharded:
        return Parallel(device)
    import torch.distributed as dist

    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
        _groups_of_one.clear()
    if str(device) not in _groups_of_one:
        _groups_of_one[str(device)] = Parallel(device, _mesh(kind, 1, 1))
    return _groups_of_one[str(device)]


def leave() -> None:
    """Take leave of the other processes."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
    _groups_of_one.clear()


def _device(kind: str) -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)


def _mesh(kind: str, size: int, replicas: int) -> "DeviceMesh":
    from torch.distributed.device_mesh import init_device_mesh

    if replicas == 1:
        return init_device_mesh(kind, (size,), mesh_dim_names=("shard",))
    return init_device_mesh(kind, (replicas, size // replicas), mesh_dim_names=("replicate", "shard"))
