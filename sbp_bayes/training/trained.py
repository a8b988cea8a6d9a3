"""What a finished training run reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trained:
    """What a finished run reports (trained.json); the same for two runs of one seed.

    identity: names what the result depends on; steps: taken; final_loss: training nats per counted target since the
    line before the last; final_validation_loss, best_loss: held-out, None without a validation set; tokens: targets
    that went through the model, padding left out; slots: padding counted too; flops: of training, evaluations left
    out; epochs: how often each source was read; parameters: trained numbers; skipped: batches left out because their
    loss or gradient was not finite.
    """

    identity: str
    steps: int
    stopped_early: bool
    final_loss: float
    final_validation_loss: float | None
    best_step: int | None
    best_loss: float | None
    tokens: int
    slots: int
    flops: float
    epochs: list[float]
    parameters: int
    skipped: int = 0
