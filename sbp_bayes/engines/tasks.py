"""A task: the work on one shard, done once. What says that it is done lies beside the results, not in any engine.

finished/NAME.json   the task's hash, seconds and host; a task that was described otherwise runs again
failed/NAME.txt      why it last failed, in a line, then the traceback
"""

import socket
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash, read_json, write_json, write_text


class Task(Protocol):
    """A frozen dataclass of paths, strings and numbers, so that it can be pickled and its repr says all that it does.

    name: the shard's, fit for a file name, one of its kind in a folder. Calling it does the work: it reads and writes
    whole files, and called again, also after half a call, it leaves the same.
    """

    @property
    def name(self) -> str: ...

    def __call__(self) -> None: ...


def is_finished(task: Task, folder: Path) -> bool:
    """Whether just this task has finished in ``folder``; an unreadable marker counts as no."""
    try:
        record = read_json(_marker(task, folder))
    except UserError:
        return False
    return isinstance(record, dict) and record.get("task") == _identity(task)


def perform(task: Task, folder: Path) -> str:
    """Do a task and mark it finished; returns an empty string, or in one line why it failed."""
    failed = folder / "failed" / f"{task.name}.txt"
    start = time.monotonic()
    try:
        task()
        seconds = round(time.monotonic() - start, 3)
        write_json(_marker(task, folder), {"task": _identity(task), "seconds": seconds, "host": socket.gethostname()})
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        reason = said if getattr(error, "bad_input", False) else f"{type(error).__name__}: {said} (see {failed})"
        write_text(failed, f"{reason}\n\n{traceback.format_exc()}")
        return reason
    failed.unlink(missing_ok=True)
    return ""


def last_failure(task: Task, folder: Path) -> str:
    """Why a task last failed, as its worker wrote it down."""
    try:
        return (folder / "failed" / f"{task.name}.txt").read_text(encoding="utf-8").splitlines()[0]
    except OSError:
        return "its worker left no word (killed, or out of memory)"


def seconds_of(tasks: Sequence[Task], folder: Path) -> float:
    """Seconds that finished ``tasks`` took, summed over workers."""
    return sum(read_json(_marker(task, folder))["seconds"] for task in tasks)


def _marker(task: Task, folder: Path) -> Path:
    return folder / "finished" / f"{task.name}.json"


def _identity(task: Task) -> str:
    return content_hash(repr(task))
