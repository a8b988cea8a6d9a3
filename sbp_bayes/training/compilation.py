"""When and how the loss is compiled: one compiled function a process, shared by all models of one shape."""

import math
import shutil
from collections.abc import Callable
from functools import cache

import torch

from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.objective import weighted_loss

# Steps from which compiling pays. On a CPU, one thread, it takes 15 to 17 seconds (2 with a full cache) and saves a
# third of a step at 0.1M parameters, a sixth at 1M (benchmarks/trainer_cpu.py): it is paid back after 3,400 and 1,100
# steps by a process that trains once, and after a few hundred by one that trains several models of one shape.
PAYS_FROM_STEPS = {"cpu": 2_000, "cuda": 500}
SHAPES = 64  # shapes (batch, context, model) that one process may compile


def loss_function(config: TrainingConfig, device: torch.device) -> Callable[..., torch.Tensor]:
    """`weighted_loss`, compiled as a whole where `wants_compiling`; a sharded model compiles each block instead
    (`sbp_bayes.training.sharding`).
    """
    return _compiled_loss() if wants_compiling(config, device) else weighted_loss


def wants_compiling(config: TrainingConfig, device: torch.device) -> bool:
    """Whether the run asks for compiling or, with "auto", is long enough to pay for it.

    The choice depends on the configuration alone, never on how far a resumed run has come, so that a resumed run
    computes bit for bit what an undisturbed one does.
    """
    pays = config.total_steps >= PAYS_FROM_STEPS.get(device.type, math.inf) and (device.type != "cpu" or has_compiler())
    return config.compile == "on" or (config.compile == "auto" and pays)


def has_compiler() -> bool:
    """Whether a C++ compiler is installed, without which there is no compiling for the CPU."""
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def compiled(function: Callable) -> Callable:
    """``function`` compiled without a break, for up to `SHAPES` shapes."""
    import torch._dynamo.config

    torch._dynamo.config.recompile_limit = SHAPES
    return torch.compile(function, fullgraph=True, dynamic=False)


@cache
def _compiled_loss() -> Callable[..., torch.Tensor]:
    return compiled(weighted_loss)
