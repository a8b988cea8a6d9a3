"""How long a run has trained, and how long ago it did what it does now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds of training since it was started; what happens inside `paused` does not count."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._paused = 0.0
        self._marks: dict[str, float] = {}

    @property
    def training(self) -> float:
        """Seconds so far, pauses left out."""
        return time.monotonic() - self._started - self._paused

    def since(self, mark: str) -> float:
        """Seconds since `marked` with this name, or since the start, pauses included."""
        return time.monotonic() - self._marks.get(mark, self._started)

    def marked(self, mark: str) -> None:
        """Begin to count `since` ``mark`` anew."""
        self._marks[mark] = time.monotonic()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Evaluating, saving: part of no training speed."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._paused += time.monotonic() - began
