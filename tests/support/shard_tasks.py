"""Tasks that worker processes of tests can import: each writes a file, and some of them die or fail on the way."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.errors import UserError
from sbp_bayes.files import write_text


@dataclass(frozen=True)
class Square:
    """Writes number ** 2 into OUT/NAME, and a line into OUT/NAME.log each time that it is called.

    trouble: "kill" its process while OUT/NAME.log has fewer lines than ``times``, "user" or "defect" as an error while
    OUT/mended is not there.
    """

    number: int
    out: Path
    trouble: str = ""
    times: int = 1

    @property
    def name(self) -> str:
        return f"part-{self.number:05d}"

    def __call__(self) -> None:
        with (self.out / f"{self.name}.log").open("a") as log:
            log.write("begun\n")
        begun = (self.out / f"{self.name}.log").read_text().count("\n")
        if self.trouble == "kill" and begun <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble in ("user", "defect") and not (self.out / "mended").exists():
            raise UserError(f"{self.name}.parquet: corrupt\nand more") if self.trouble == "user" else KeyError("lost")
        write_text(self.out / self.name, str(self.number**2))
