"""A batch whose loss or gradient is not finite: found without waiting for the GPU, named, skipped or the end of a run.

The optimiser passes over such a batch in either case, so the weights stay good and can tell which documents it was.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sbp_bayes.documents.packing import Batch, Mixture
from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.objective import document_nats
from sbp_bayes.training.parallel import Parallel

SKIPPED_IN_A_ROW = 10  # batches after which skipping can't help: it is the weights that are broken
NAMED = 5  # documents that a message names


@dataclass(frozen=True)
class Outcome:
    """What became of one step: its loss, gradient norm and weight; ``finite``: whether it moved the weights."""

    step: int
    loss: float
    norm: float
    weight: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.norm)


class Outcomes:
    """The outcomes of steps, which stay on the device until they are read: reading waits for the GPU."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, float]] = []
        self._values: list[Tensor] = []

    def add(self, step: int, loss: Tensor, norm: Tensor, weight: float) -> None:
        """Note a step's loss and gradient norm, both of no dimension, and the weight of its batch."""
        self._steps.append((step, weight))
        self._values += [loss.detach().double(), norm.detach().double()]

    def read(self) -> list[Outcome]:
        """The outcomes since the last reading."""
        if not self._steps:
            return []
        values = torch.stack(self._values).tolist()
        pairs = zip(values[::2], values[1::2], strict=True)
        read = [Outcome(step, *pair, weight) for (step, weight), pair in zip(self._steps, pairs, strict=True)]
        self._steps, self._values = [], []
        return read


def skips_by_itself(optimiser: torch.optim.Optimizer, device: torch.device) -> bool:
    """Whether the optimiser passes over a batch by a flag on the device: PyTorch's fused AdamW on a GPU, the same flag
    by which `torch.amp.GradScaler` tells it of an overflow. Others need the host to know, and the host to wait.
    """
    return device.type == "cuda" and getattr(optimiser, "_step_supports_amp_scaling", False)


def flag(loss: Tensor, norm: Tensor) -> Tensor:
    """1 where the optimiser is to pass over the batch, 0 elsewhere, on the device."""
    return (~torch.isfinite(loss + norm)).float()


class Verdict:
    """What ``config.nonfinite`` makes of the outcomes of a run: counts, one line on standard error, or UserError."""

    def __init__(self, name: str, config: TrainingConfig, documents: Callable[[int], str]):
        self.name, self.config, self.documents = name, config, documents

    def on(self, outcome: Outcome, in_a_row: int, speaks: bool) -> None:
        """Judge a step that is not finite, the ``in_a_row``-th without a finite one between; one process ``speaks``."""
        documents = self.documents(outcome.step)
        where = f"at step {outcome.step} (loss {outcome.loss:.4g}, gradient norm {outcome.norm:.4g}; {documents})"
        if self.config.nonfinite == "stop":
            raise UserError(
                f"{self.name}: the loss or its gradient is no longer finite {where}; try a learning rate below "
                f'{self.config.learning_rate:g}, a longer warm-up, or training.nonfinite = "skip"'
            )
        if in_a_row >= SKIPPED_IN_A_ROW:
            raise UserError(
                f"{self.name}: the loss or its gradient was not finite {in_a_row} steps in a row, last {where}; "
                "the weights are broken, not the data"
            )
        if speaks:
            print(f"{self.name}: skipped the batch {where}", file=sys.stderr, flush=True)


def culprits(model: Transformer, mixture: Mixture, step: int, config: TrainingConfig, parallel: Parallel) -> str:
    """Which documents of the batch of ``step`` have a loss that is not finite, in words. All processes take part.

    They are scored in the parts that the batch was computed in, so that they take no more memory than it did. A row's
    documents are named together where padding or attention carries a NaN from one to another.
    """
    share = parallel.part_of(config.batch_rows)
    batch = mixture.batch(step, config.batch_rows, share)
    broken = [row for part in batch.split(config.accumulation) for row in _not_finite(model, part.to(parallel.device))]
    names = []
    rows = (column[share] for column in mixture.rows_at(step, config.batch_rows))
    for source, packed_row, of_row in zip(*rows, broken, strict=True):
        packed = mixture.sources[source]
        members = packed.members(packed_row)
        names += [packed.sequences.name(int(members[i])) for i in np.flatnonzero(of_row[: len(members)])]
    names = [name for share in parallel.every(names) for name in share]
    if not names:
        return f"no one document of the {config.batch_rows} rows by itself"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@torch.no_grad()
def _not_finite(model: Transformer, batch: Batch) -> np.ndarray:
    """Boolean (R, documents in the fullest row)."""
    return ~torch.isfinite(document_nats(model, batch)).cpu().numpy()
