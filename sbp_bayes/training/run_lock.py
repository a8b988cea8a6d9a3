"""One run at a time in a folder: two would write over each other's lines and checkpoints."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sbp_bayes.files import exclusive
from sbp_bayes.training.parallel import Parallel
from sbp_bayes.training.trained import TRAINED

LOCK = ".lock"  # held by the first process of the run under way; it goes with what else a finished run needs no more


@contextmanager
def only_run_in(folder: Path, parallel: Parallel) -> Iterator[None]:
    """Hold ``folder`` for a run of the processes of ``parallel``; a finished run holds nothing.

    Raises UserError in all of them where another run is under way, or the folder can't be written.
    """
    with ExitStack() as held:

        def hold() -> None:
            if not (folder / TRAINED).is_file():
                held.enter_context(exclusive(folder / LOCK, str(folder), wait=False))

        parallel.on_first(hold)
        yield
