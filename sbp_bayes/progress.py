"""Progress of long work: how much is done, how fast, how long it will take.

A stage reports to a `Progress`; where the reports go is the process's business. By default they are plain lines
on standard error, at most one every few seconds; a worker process sends them to its parent, which draws bars on a
terminal and writes lines in a log file (`sbp_bayes.executor`).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LINE_EVERY_SECONDS = 10.0
REPORT_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Report:
    """One state of one piece of work: ``done`` of ``total`` ``unit``, ``rate`` a second, ``left`` seconds to go."""

    name: str
    done: float
    total: float
    unit: str
    rate: float
    left: float
    figures: dict[str, float] = field(default_factory=dict)
    finished: bool = False

    def line(self) -> str:
        share = 100 * self.done / self.total if self.total else 100.0
        figures = "".join(f"  {name} {value:.4g}" for name, value in self.figures.items())
        left = "done" if self.finished else f"{format_seconds(self.left)} left"
        return f"{self.name}: {share:3.0f} %  {self.rate:,.0f} {self.unit}/s  {left}{figures}"


def format_seconds(seconds: float) -> str:
    """``75`` -> ``1:15``; hours appear when there are any."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class LineSink:
    """Prints reports as lines, each piece of work at most once every ``every`` seconds, and its end."""

    def __init__(self, every: float = LINE_EVERY_SECONDS):
        self.every = every
        self.last: dict[str, float] = {}

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if report.finished or now - self.last.setdefault(report.name, now) >= self.every:
            self.last[report.name] = now
            print(report.line(), file=sys.stderr, flush=True)


_sink: Callable[[Report], None] = LineSink()


def send_reports_to(sink: Callable[[Report], None]) -> None:
    """Send this process's reports to ``sink`` from now on."""
    global _sink
    _sink = sink


class Progress:
    """``with Progress("train sbp", total=1e6, unit="tokens") as p: p.advance(4096, loss=2.3)``.

    ``done`` starts where a resumed run left off; the rate counts only what this process did.
    """

    def __init__(self, name: str, total: float, unit: str, done: float = 0.0):
        self.name, self.total, self.unit = name, total, unit
        self.done = self.start_done = done
        self.start = self.reported = time.monotonic()
        self.figures: dict[str, float] = {}

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind, value, traceback) -> None:
        if kind is None:
            self._report(finished=True)

    @property
    def rate(self) -> float:
        """Units a second so far in this process."""
        return (self.done - self.start_done) / max(time.monotonic() - self.start, 1e-9)

    def advance(self, amount: float, **figures: float) -> None:
        """``amount`` more units are done; ``figures`` (loss, ...) are shown beside the rate."""
        self.done += amount
        self.figures.update(figures)
        if time.monotonic() - self.reported >= REPORT_EVERY_SECONDS:
            self._report()

    def _report(self, finished: bool = False) -> None:
        self.reported = time.monotonic()
        left = (self.total - self.done) / self.rate if self.rate > 0 else 0.0
        _sink(Report(self.name, self.done, self.total, self.unit, self.rate, left, dict(self.figures), finished))
