"""What a finished training run reports."""

from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json
from sbp_bayes.training.identity import of_another_run

TRAINED = "trained.json"  # written last: says that all else of a run is there


@dataclass(frozen=True)
class Trained:
    """What a finished run reports (trained.json); the same for two runs of one seed.

    identity: names what the result depends on; steps: taken; final_loss: training nats per counted target since the
    line before the last, None where every batch since was left out; final_validation_loss, best_loss: held-out, None
    without a validation set; tokens: targets that went through the model, padding left out; slots: padding counted too;
    flops: of training, evaluations left out; epochs: how often each source was read; parameters: trained numbers;
    skipped: batches left out because their loss or gradient was not finite.
    """

    identity: str
    steps: int
    stopped_early: bool
    final_loss: float | None
    final_validation_loss: float | None
    best_step: int | None
    best_loss: float | None
    tokens: int
    slots: int
    flops: float
    epochs: list[float]
    parameters: int
    skipped: int = 0


def read_trained(folder: Path, identity: str) -> Trained:
    """What the finished run in ``folder`` reported. UserError where it is another run than ``identity``, or damaged."""
    path, stored = folder / TRAINED, read_json(folder / TRAINED)
    if not isinstance(stored, dict):
        raise UserError(f"{path}: not the report of a training run; delete {folder}")
    if stored.get("identity") != identity:
        raise of_another_run(path, folder)
    try:
        return Trained(**stored)
    except TypeError as error:
        raise UserError(f"{path}: not the report of a training run; delete {folder}") from error
