"""A run that is asked to end: it saves a state first, so that the same command goes on from there."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """Training was asked to end and did, with its state on disk; the text says at which step."""


@contextmanager
def sigterm() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has come, as a function; the signal ends the process no more meanwhile.

    Schedulers (Slurm) and torchrun send it before they kill. Only a process's main thread can take signals.
    """
    came = False

    def note(number: int, frame: object) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)
