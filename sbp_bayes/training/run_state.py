"""What of a run has to survive a kill, besides weights and optimiser."""

from dataclasses import dataclass, field
from typing import Any

from sbp_bayes.training.nonfinite import Outcome


@dataclass
class RunState:
    """How far a run has come.

    step: steps taken; tokens: targets that went through the model; skipped, skipped_in_a_row: batches that were not
    finite; loss_sum, weight_sum: nats and weights since the last line; gradient_norm: of the last finite step;
    best_step, best_loss: the lowest held-out loss, and bad_evaluations those since; lines: of metrics.jsonl.
    """

    step: int = 0
    tokens: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    loss_sum: float = 0.0
    weight_sum: float = 0.0
    gradient_norm: float = 0.0
    best_step: int | None = None
    best_loss: float | None = None
    bad_evaluations: int = 0
    lines: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """Take a step's outcome into account."""
        if outcome.finite:
            self.loss_sum += outcome.loss * outcome.weight
            self.weight_sum += outcome.weight
            self.gradient_norm = outcome.norm
            self.skipped_in_a_row = 0
        else:
            self.skipped += 1
            self.skipped_in_a_row += 1

    def training_line(self, learning_rate: float) -> dict[str, Any]:
        """What a line of metrics.jsonl says of training since the last one, from where the sums begin anew.

        Loss and gradient norm are left out where nothing was learnt since, as at step 0 or where all was skipped.
        """
        line: dict[str, Any] = {"step": self.step, "tokens": self.tokens}
        learnt = self.weight_sum > 0
        if learnt:
            line["train_loss"] = self.loss_sum / self.weight_sum
        if self.step > 0:
            line["learning_rate"] = learning_rate
        if learnt:
            line["gradient_norm"] = self.gradient_norm
        if self.skipped:
            line["skipped"] = self.skipped
        self.loss_sum = self.weight_sum = 0.0
        return line

    def is_best(self, loss: float) -> bool:
        """Note a held-out loss; whether it is the lowest so far."""
        if self.best_loss is None or loss < self.best_loss:
            self.best_step, self.best_loss, self.bad_evaluations = self.step, loss, 0
            return True
        self.bad_evaluations += 1
        return False
