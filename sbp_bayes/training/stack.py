"""The weights of several models of one shape, their gradients and AdamW's states, in one tensor each.

One forward and one backward pass, one clipping and a few calls of PyTorch's own AdamW then serve all of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.adamw import adamw

from sbp_bayes.documents.packing import Batch
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.compilation import compiled, wants_compiling
from sbp_bayes.training.objective import weighted_loss
from sbp_bayes.training.sharding import on_meta
from sbp_bayes.training.trainer import Run

STATES = ("exp_avg", "exp_avg_sq")  # of AdamW, beside its count of steps


class Stack:
    """R runs, side by side: weights, gradients and states (R, P), in each row the matrices before the gains of norms.

    The weights of a run's model and the states of its optimiser become views of its row, so that whatever reads or
    writes them, an evaluation or a checkpoint, finds what is trained here.
    """

    def __init__(self, runs: Sequence[Run]):
        self.runs = list(runs)
        model, config, device = runs[0].model, runs[0].config, runs[0].parallel.device
        names = {id(weight): name for name, weight in model.named_parameters()}
        first = _weights(runs[0])
        self._names = [f"model.{names[id(weight)]}" for weight in first]
        self._shapes = [weight.shape for weight in first]
        self._sizes = [weight.numel() for weight in first]
        self._matrices = sum(weight.numel() for weight in first if weight.dim() >= 2)
        self._objective = _Objective(on_meta(model.config))
        self._nats = compiled(self._nats_of) if wants_compiling(config, device) else self._nats_of
        self.weights = torch.stack([_joined(_weights(run)) for run in runs]).requires_grad_()
        self._states = [torch.stack([_joined(_state(run, name)) for run in runs]) for name in STATES]
        self._steps = torch.stack([_steps(run) for run in runs])
        for row, run in enumerate(runs):
            self._lend(row, run)

    def backward(self, batches: Sequence[Batch], weights: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Each run's loss on its batch, nats per unit of ``weights``, and the norm of its gradient before clipping:
        (R,) and (R,) on the host, float64.
        """
        device = self.weights.device
        nats = self._nats(self.weights, *(column.to(device) for column in _columns(batches)))
        losses = nats / torch.tensor(weights, dtype=nats.dtype, device=device)
        self.weights.grad = None
        losses.sum().backward()
        norms = torch.linalg.vector_norm(self.weights.grad, dim=1)
        clips = torch.tensor([run.config.clip or inf for run in self.runs], dtype=norms.dtype, device=device)
        self.weights.grad.mul_((clips / (norms + 1e-6)).clamp(max=1.0)[:, None])
        return tuple(torch.stack((losses.detach().double(), norms.double())).cpu())

    @torch.no_grad()
    def move(self, rows: Sequence[int]) -> None:
        """AdamW's step of ``rows``; those with the same rate, decay and betas go in one call."""
        calls = defaultdict(list)
        for row in rows:
            for number, group in enumerate(self.runs[row].optimiser.param_groups):
                calls[number, group["lr"], group["weight_decay"], group["betas"], group["eps"]].append(row)
        for (number, rate, decay, (beta1, beta2), eps), together in calls.items():
            part = slice(self._matrices, None) if number else slice(self._matrices)
            tensors = (self.weights, self.weights.grad, *self._states)
            adamw(
                *([tensor[row, part] for row in together] for tensor in tensors),
                max_exp_avg_sqs=[],
                state_steps=[self._steps[row, number] for row in together],
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=rate,
                weight_decay=decay,
                eps=eps,
                maximize=False,
            )

    def release(self) -> None:
        """Give every model weights of its own again."""
        for run in self.runs:
            for weight in _weights(run):
                weight.data = weight.data.clone()

    def _nats_of(self, weights: Tensor, *batch: Tensor) -> Tensor:
        """(R,) from weights (R, P)."""
        parts = zip(self._names, weights.split(self._sizes, dim=1), self._shapes, strict=True)
        return functional_call(self._objective, {name: part.unflatten(1, shape) for name, part, shape in parts}, batch)

    def _lend(self, row: int, run: Run) -> None:
        rows = [tensor.detach()[row].split(self._sizes) for tensor in (self.weights, *self._states)]
        for weight, values, *states in zip(_weights(run), *rows, strict=True):
            weight.data = values.view(weight.shape)
            views = {name: state.view(weight.shape) for name, state in zip(STATES, states, strict=True)}
            run.optimiser.state[weight] = {"step": self._steps[row, int(weight.dim() < 2)], **views}


class _Objective(nn.Module):
    """`weighted_loss` as a module, whose weights `functional_call` replaces."""

    def __init__(self, model: Transformer):
        super().__init__()
        self.model = model

    def forward(self, *batch: Tensor) -> Tensor:
        return weighted_loss(self.model, *batch)


def _weights(run: Run) -> list[nn.Parameter]:
    """In the order of the optimiser's groups: matrices, gains."""
    return [weight for group in run.optimiser.param_groups for weight in group["params"]]


def _state(run: Run, name: str) -> list[Tensor]:
    """A state of AdamW of every weight, 0 before its first step."""
    states = run.optimiser.state
    return [states[w][name] if w in states else torch.zeros_like(w) for w in _weights(run)]


def _steps(run: Run) -> Tensor:
    """How many steps AdamW has taken of each group, float32 as its fused form wants it: that counts them by call."""
    firsts = [group["params"][0] for group in run.optimiser.param_groups]
    taken = [float(run.optimiser.state[w]["step"]) if w in run.optimiser.state else 0.0 for w in firsts]
    return torch.tensor(taken, dtype=torch.float32, device=run.parallel.device)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def _columns(batches: Sequence[Batch]) -> list[Tensor]:
    """The batches under one another, as `weighted_loss` takes them."""
    names = ["inputs", "targets", "weights"]
    if not all(batch.alone for batch in batches):
        names += ["positions", "document_ids"]
    return [torch.cat([getattr(batch, name) for batch in batches]) for name in names]
