"""A task that takes longer than any test waits."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.files import write_text


@dataclass(frozen=True)
class Sleep:
    """Writes its process id into OUT/NAME.pid and sleeps."""

    number: int
    out: Path

    @property
    def name(self) -> str:
        return f"part-{self.number:05d}"

    def __call__(self) -> None:
        write_text(self.out / f"{self.name}.pid", str(os.getpid()))
        time.sleep(600)
