"""What a run reports while it trains: metrics.jsonl, speed.jsonl beside it, and TensorBoard where asked for."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sbp_bayes.errors import UserError
from sbp_bayes.files import write_text
from sbp_bayes.training.device_peaks import peak_flops

METRICS = "metrics.jsonl"
SPEED = "speed.jsonl"


class MetricsLogger:
    """Writes the lines of one run; where several processes train, the first alone has one.

    metrics.jsonl holds what two runs of one seed agree on to the last bit; speed.jsonl what they do not: tokens per
    second, model FLOPs utilisation, memory.

    lines: of metrics.jsonl up to the checkpoint that the run goes on from, none for a new run; both files are cut back
    to them. track: ``none`` or ``tensorboard``; flops_per_token: of training (`sbp_bayes.ledger.training_flops` of one
    token); devices: that share the work. Raises UserError where TensorBoard is asked for and not installed.
    """

    def __init__(
        self,
        folder: Path,
        lines: Sequence[str] = (),
        track: str = "none",
        device: torch.device | str = "cpu",
        flops_per_token: float = 0.0,
        devices: int = 1,
    ):
        self.folder, self.lines, self.device = Path(folder), list(lines), torch.device(device)
        peak = peak_flops(self.device)
        self._full_rate = devices * peak / flops_per_token if peak and flops_per_token else None
        last = json.loads(self.lines[-1])["step"] if self.lines else -1
        write_text(self.folder / METRICS, "".join(line + "\n" for line in self.lines))
        write_text(self.folder / SPEED, "".join(line + "\n" for line in _lines_up_to(self.folder / SPEED, last)))
        self._board = _tensorboard(self.folder, last) if track == "tensorboard" else None

    def log(self, values: dict[str, Any], tokens: int = 0, seconds: float = 0.0) -> None:
        """Append ``values``, with ``step`` among them, to metrics.jsonl. Raises UserError for a full disk.

        tokens: trained on since the last line (targets on all devices, padding left out), in ``seconds`` (evaluation
        and checkpoints left out); with both above 0 a line goes to speed.jsonl.
        """
        line = json.dumps(values, allow_nan=False)
        self.lines.append(line)
        _append(self.folder / METRICS, line)
        speed = self._speed(tokens / seconds) if tokens and seconds > 0 else {}
        if speed:
            _append(self.folder / SPEED, json.dumps({"step": values["step"], **speed}))
        if self._board is not None:
            for name, value in {**values, **speed}.items():
                if name != "step":
                    self._board.add_scalar(name, value, values["step"])
            self._board.flush()

    def close(self) -> None:
        """Write what TensorBoard still holds back."""
        if self._board is not None:
            self._board.close()

    def _speed(self, tokens_per_second: float) -> dict[str, float]:
        speed = {"tokens_per_second": tokens_per_second, "memory_bytes": memory_bytes(self.device)}
        if self._full_rate is not None:
            speed["mfu"] = tokens_per_second / self._full_rate
        return speed


def memory_bytes(device: torch.device) -> int:
    """The most memory in use so far: allocated by tensors on a GPU, resident of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _append(path: Path, line: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error.strerror})") from error


def _lines_up_to(path: Path, step: int) -> list[str]:
    """The lines of a file whose step is at most ``step``; one without a step, as a kill may leave it, ends them."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            if json.loads(line)["step"] > step:
                break
        except (ValueError, KeyError, TypeError):
            break
        kept.append(line)
    return kept


def _tensorboard(folder: Path, last: int) -> Any:
    """A writer of event files; what lies beyond ``last`` is hidden, for it is trained again."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            'training.track = "tensorboard": tensorboard is not installed; pip install "sbp-bayes[track]"'
        ) from error
    return SummaryWriter(folder / "tensorboard", purge_step=last + 1)
