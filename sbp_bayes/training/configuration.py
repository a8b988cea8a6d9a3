"""How a model is trained, and the learning rate of each step, both plain values."""

import dataclasses
import math
from dataclasses import dataclass

from sbp_bayes.errors import UserError
from sbp_bayes.training.schedule import SCHEDULES, fall_begins, share_of_peak

COMPILE = ("auto", "on", "off")
OPTIMISERS = ("adamw", "muon", "adamw-bf16")
NONFINITE = ("stop", "skip")
PRECISIONS = ("float32", "bfloat16")
TRACKERS = ("none", "tensorboard")
CHOICES = {
    "schedule": SCHEDULES,
    "compile": COMPILE,
    "optimiser": OPTIMISERS,
    "nonfinite": NONFINITE,
    "precision": PRECISIONS,
    "track": TRACKERS,
}
# For `TrainingConfig.identity`: what a run under way may change (compiling moves the last bits), with the value that
# names it, and the fields added after runs had names.
WITHOUT_EFFECT = {"checkpoint_seconds": 0.0, "checkpoint_every": 0, "compile": "auto"}
NEVER_NAMED = ("checkpoints_kept", "activation_checkpointing", "track", "nonfinite", "keep_stable")
NAMED_WHEN_SET = ("decay", "optimiser", "precision", "log_every")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One training run.

    tokens or steps: the budget, exactly one of them; tokens count row slots (padding included), so that equal budgets
        are equal work; batch_tokens: slots a step, a whole number of rows of ``context`` slots.
    warmup: share of the steps over which the learning rate rises; schedule: cosine, constant or wsd, what follows
        (`sbp_bayes.training.schedule`); minimum_lr: share of the peak at which cosine and wsd end; decay: share of the
        steps over which wsd falls.
    optimiser: adamw, muon (hidden matrices, with AdamW for the rest) or adamw-bf16 (`sbp_bayes.training.optimiser`).
    weight_decay: on matrices (embedding and head included), never on the gains of norms.
    clip: largest gradient norm, 0 for none; accumulation: parts that a batch is computed in (less memory, same step).
    evaluate_every: steps between evaluations, each a line of metrics.jsonl with a held-out loss if there is a
        validation set; 0: about twenty a run. log_every: steps between further lines, without a held-out loss; 0: none.
    patience: evaluations without a new best loss after which training stops, 0 for never.
    checkpoint_seconds: time between checkpoints; checkpoint_every: steps between them, 0 for time alone.
    checkpoints_kept: the newest training states that stay on disk.
    compile: torch.compile on, off, or where it pays.
    precision: of matrix products; bfloat16 keeps float32 weights. activation_checkpointing: compute each block's
        activations again in the backward pass instead of keeping them.
    nonfinite: what a loss or gradient that is not finite does to the run: stop it, or skip the batch.
    track: where metrics go besides metrics.jsonl: none, or tensorboard.
    keep_stable: keep the state before the fall of wsd (or at the end of constant) for longer runs
        (`sbp_bayes.training.branching`).
    """

    tokens: int | None = None
    steps: int | None = None
    context: int
    batch_tokens: int
    learning_rate: float
    warmup: float = 0.05
    schedule: str = "cosine"
    minimum_lr: float = 0.1
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    accumulation: int = 1
    evaluate_every: int = 0
    patience: int = 0
    checkpoint_seconds: float = 30.0
    checkpoint_every: int = 0
    seed: int = 0
    compile: str = "auto"
    decay: float = 0.2
    optimiser: str = "adamw"
    nonfinite: str = "stop"
    checkpoints_kept: int = 2
    activation_checkpointing: bool = False
    precision: str = "float32"
    track: str = "none"
    log_every: int = 0
    keep_stable: bool = False

    def __post_init__(self) -> None:
        if (self.tokens is None) == (self.steps is None):
            raise UserError("training: expected exactly one of tokens and steps")
        for name in ("tokens", "steps", "context", "batch_tokens", "accumulation", "checkpoints_kept"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"training.{name}: expected a positive whole number, got {value}")
        counts = ("evaluate_every", "log_every", "patience", "checkpoint_every", "checkpoint_seconds")
        for name in ("weight_decay", "clip", *counts):
            if not getattr(self, name) >= 0:
                raise UserError(f"training.{name}: expected zero or more, got {getattr(self, name)}")
        for name in ("weight_decay", "clip"):
            if getattr(self, name) == math.inf:
                raise UserError(f"training.{name}: expected a finite number, got inf")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"training.betas: expected two numbers from 0 to below 1, got {self.betas}")
        for name in ("warmup", "minimum_lr", "decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"training.{name}: expected a share between 0 and 1, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise UserError(f"training.learning_rate: expected a positive number, got {self.learning_rate}")
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise UserError(f"training.decay: expected at most 1 - warmup = {1 - self.warmup:g}, got {self.decay}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"training.{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.keep_stable and self.schedule == "cosine":
            raise UserError("training.keep_stable: cosine has no stable phase; expected the schedule wsd or constant")
        if self.batch_rows % self.accumulation:
            raise UserError(
                f"training.accumulation: {self.accumulation} parts do not divide the {self.batch_rows} rows of a "
                f"batch; batch_tokens = {self._shared_tokens(1)} has rows that they divide"
            )

    def check_shares(self, processes: int) -> None:
        """Raises UserError, with a batch that works, where ``processes`` can't share the rows of a step."""
        if self.batch_rows % (processes * self.accumulation):
            raise UserError(
                f"training.batch_tokens: {self.batch_rows} rows a step can't be shared out to {processes} processes "
                f"in {self.accumulation} parts each; {self._shared_tokens(processes)} tokens can"
            )

    def _shared_tokens(self, processes: int) -> int:
        return shared_rows(self.batch_rows, processes * self.accumulation) * self.context

    @property
    def batch_rows(self) -> int:
        """Rows a step."""
        return max(1, self.batch_tokens // self.context)

    @property
    def total_steps(self) -> int:
        """Steps the budget pays for, at least one."""
        if self.steps is not None:
            return self.steps
        return max(1, round(self.tokens / (self.batch_rows * self.context)))

    @property
    def evaluation_every(self) -> int:
        """Steps between evaluations."""
        return self.evaluate_every or max(1, self.total_steps // 20)

    @property
    def stable_steps(self) -> int:
        """Steps after which the learning rate falls from its peak, for wsd; all of them for constant."""
        return fall_begins(self.total_steps, self.decay) if self.schedule == "wsd" else self.total_steps

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of step 0, 1, ..., a pure function of the step."""
        return self.learning_rate * share_of_peak(
            step, self.total_steps, self.schedule, self.warmup, self.minimum_lr, self.decay
        )

    def identity(self) -> dict:
        """What decides the result of a run: how it is saved and tracked does not.

        Fields that came later are left out at their defaults, so that the runs made before them keep their names.
        """
        values = dataclasses.asdict(self) | WITHOUT_EFFECT
        at_default = {f.name for f in dataclasses.fields(self) if getattr(self, f.name) == f.default}
        left_out = {*NEVER_NAMED, *(at_default & set(NAMED_WHEN_SET))}
        return {name: value for name, value in values.items() if name not in left_out}


def shared_rows(rows: int, parts: int) -> int:
    """``rows`` rounded so that ``parts`` divide them, at least one each."""
    return max(1, round(rows / parts)) * parts
