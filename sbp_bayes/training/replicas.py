"""Many runs of one shape at once: each step one batched pass over the batches of all (`sbp_bayes.training.stack`).

Every replica is a `Run` of the one trainer, with start, documents, order, schedule, evaluations, checkpoints and
results of its own; only its steps are taken beside the others'. A group that was killed goes on together, in other
groups or one by one. It is made for GPUs, which one small model keeps busy with starting operations instead of
computing them; on a CPU it pays for batches of some hundred tokens at most (benchmarks/replicas.py).
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from sbp_bayes.documents.packing import Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import Progress
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.parallel import alone
from sbp_bayes.training.run_lock import only_run_in
from sbp_bayes.training.stack import Stack
from sbp_bayes.training.trained import Trained
from sbp_bayes.training.trainer import Run

T = TypeVar("T")
# What a group can't do, and the value that it expects.
EXPECTED = {"optimiser": "adamw", "precision": "float32", "accumulation": 1, "activation_checkpointing": False}


@dataclass(frozen=True)
class Replica:
    """One run of a group: the arguments of `sbp_bayes.training.trainer.train`."""

    model: Transformer
    mixture: Mixture
    config: TrainingConfig
    folder: Path
    validation: Packed | None = None
    name: str = "train"
    tokenizer_fingerprint: str = ""
    start: str = ""


def train_together(
    replicas: Sequence[Replica],
    device: torch.device | str = "cpu",
    name: str = "train",
    stop: Callable[[], bool] = lambda: False,
) -> list[Trained]:
    """Train every replica as `sbp_bayes.training.trainer.train` does, to rounding, and leave what it leaves.

    Replicas may differ in all but the model's shape and the rows of a step; one that is done leaves the group, one that
    fails leaves it too, and the others go on. stop: asked each step, whether to save all states and raise Interrupted.
    Raises UserError for replicas that don't fit together, and, once the others are done, for the first that failed.
    """
    _check(replicas)
    parallel, group = alone(device), _Group(name, stop)
    with ExitStack() as held:
        runs = []
        for r in replicas:
            result = r.folder, r.validation, r.name, r.tokenizer_fingerprint
            runs.append(Run(r.model, r.mixture, r.config, *result, parallel, r.start, None, lambda: group.stopping))
            held.callback(runs[-1].close)
            held.enter_context(only_run_in(r.folder, parallel))
        group.train([run for run in runs if not run.is_finished])
        for error in group.failed.values():
            raise error
        return [run.finished() for run in runs]


def _check(replicas: Sequence[Replica]) -> None:
    """Raises UserError where ``replicas`` can't be trained together."""
    if len({r.folder for r in replicas}) < len(replicas):
        raise UserError("replicas: expected a folder for each")
    for r in replicas:
        for key, value in EXPECTED.items():
            if getattr(r.config, key) != value:
                raise UserError(f"{r.folder}: training.{key}: replicas expect {value}, got {getattr(r.config, key)}")
        for what in ("model.config", "config.context", "config.batch_rows"):
            own, first = (_of(x, what) for x in (r, replicas[0]))
            if own != first:
                raise UserError(f"{r.folder}: {what}: replicas expect one for all, {first}, got {own}")


def _of(replica: Replica, path: str):
    owner, name = path.split(".")
    return getattr(getattr(replica, owner), name)


class _Group:
    """Runs that are trained side by side; ``failed`` holds what went wrong with those that have left."""

    def __init__(self, name: str, stop: Callable[[], bool]):
        self.name, self.stop, self.stopping = name, stop, False
        self.failed: dict[Run, UserError] = {}

    def train(self, runs: list[Run]) -> None:
        """Take every run to its end, or to its failure."""
        for run in runs:
            self._try(run, run.begin)
        runs = self._left(runs)
        total = sum(run.config.total_steps * run.slots for run in runs)
        done = sum(run.run.step * run.slots for run in runs)
        with Progress(f"{self.name}: {len(runs)} together", total, "tokens", done) as progress:
            while runs:
                for run in runs:
                    if run.over:
                        self._try(run, run.finish)
                runs = [run for run in self._left(runs) if not run.over]
                if runs:
                    runs = self._side_by_side(runs, progress)

    def _side_by_side(self, runs: list[Run], progress: Progress) -> list[Run]:
        """Steps of all ``runs`` until one is over or fails; returns those that have not failed."""
        stack = Stack(runs)
        try:
            while not any(run.over for run in runs) and self._left(runs) == runs:
                self._step(runs, stack, progress)
        finally:
            stack.release()
        return self._left(runs)

    def _step(self, runs: list[Run], stack: Stack, progress: Progress) -> None:
        self.stopping = self.stop()
        steps = [self._try(run, run.next_step) for run in runs]
        if self._left(runs) != runs:
            return
        losses, norms = stack.backward([step.batch for step in steps], [max(step.weight, 1e-9) for step in steps])
        for run, step, loss, norm in zip(runs, steps, losses, norms, strict=True):
            run.outcomes.add(run.run.step, loss, norm, step.weight)
        finite = [self._try(run, run.read) for run in runs]
        stack.move([row for row, moves in enumerate(finite) if moves])
        for run, step in zip(runs, steps, strict=True):
            if run not in self.failed:
                self._try(run, partial(run.after, step))
        progress.advance(sum(run.slots for run in runs), loss=float(losses.mean()))
        for run in runs:
            if run.stopping:
                run.interrupt()

    def _try(self, run: Run, work: Callable[[], T]) -> T | None:
        """``work``'s result; None where it fails, which is noted."""
        try:
            return work()
        except UserError as error:
            self.failed[run] = error
            return None

    def _left(self, runs: list[Run]) -> list[Run]:
        return [run for run in runs if run not in self.failed]
