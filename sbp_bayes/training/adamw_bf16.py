"""AdamW with both moments in bfloat16 and stochastic rounding: 8 bytes a parameter in place of 16.

Nearest rounding would lose every update smaller than half a unit in the last place, 0.2 % of a weight. Rounding at
random keeps it in the mean, so parameters may be bfloat16 themselves, without a float32 copy.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from sbp_bayes import kernels
from sbp_bayes.training.stochastic_rounding import noises, round_stochastically


class AdamWBf16(torch.optim.Optimizer):
    """AdamW (Loshchilov and Hutter 2019) on parameters in bfloat16 or float32, contiguous, sharded (DTensor) or whole.

    seed: of the rounding. It is part of a saved state, as the step is, so a resumed run rounds as an uninterrupted one.
    Shards of one parameter draw the same bits at the same places, which changes no mean.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        seed: int = 0,
    ):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "seed": seed}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update every parameter that has a gradient; one launch on a GPU for all of a group that are of one type."""
        stream = 0
        for group in self.param_groups:
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self._state(parameter)
                    state["step"] += 1
                    tensors = parameter, parameter.grad, state["exp_avg"], state["exp_avg_sq"]
                    kind = parameter.dtype, parameter.grad.dtype, parameter.device, int(state["step"])
                    alike[kind].append((*map(_local, tensors), stream))
                stream += 1
            for (*_, step), rows in alike.items():
                beta1, beta2 = group["betas"]
                numbers = group["lr"], beta1, beta2, group["eps"], group["weight_decay"], step, group["seed"]
                adamw(*map(list, zip(*rows, strict=True)), *numbers)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """PyTorch gives loaded states the type of their parameter; moments stay bfloat16, which loses nothing."""
        super().load_state_dict(state_dict)
        for state in self.state.values():
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = state[name].to(torch.bfloat16)

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter, dtype=torch.bfloat16)
        return state


def adamw(
    parameters: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    streams: list[int],
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
    step: int,
    seed: int,
) -> None:
    """One step on several tensors in place, computed in float32; moments and bfloat16 parameters round at random.

    parameters, gradients: bfloat16 or float32, one type each; means, squares: the moments, bfloat16; streams: the
    number by which each tensor draws; step: 1, 2, ...
    """
    assert all(tensor.is_contiguous() for tensor in parameters), "expected contiguous parameters"
    if kernels.serve("adamw", parameters[0]):
        from sbp_bayes.kernels.adamw import adamw as kernel

        return kernel(parameters, gradients, means, squares, streams, rate, beta1, beta2, eps, decay, step, seed)
    size, root = rate / (1 - beta1**step), (1 - beta2**step) ** -0.5
    for parameter, gradient, mean, square, stream in zip(parameters, gradients, means, squares, streams, strict=True):
        by_parameter, by_mean, by_square = noises(parameter, stream, step, seed)
        g, m, v = gradient.float(), mean.float(), square.float()
        m = m + (g - m) * (1 - beta1)
        v = v + (g * g - v) * (1 - beta2)
        p = parameter.float() * (1 - rate * decay) - size * m / (v.sqrt() * root + eps)
        mean.copy_(round_stochastically(m, by_mean))
        square.copy_(round_stochastically(v, by_square))
        parameter.copy_(round_stochastically(p, by_parameter) if parameter.dtype == torch.bfloat16 else p)


def _local(tensor: Tensor) -> Tensor:
    """This process's shard of a DTensor, a view of it; any other tensor itself."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
