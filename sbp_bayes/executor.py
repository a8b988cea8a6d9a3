"""Run a graph of stages in worker processes, each stage as soon as its inputs are there.

Every worker uses one thread, so that results do not depend on how many cores a machine has, and two stages at once
use two cores better than one stage on two threads does at the sizes that CPUs train.
"""

import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from sbp_bayes.engines.processes import start_worker
from sbp_bayes.errors import UserError
from sbp_bayes.graph import Stage, in_order, run_stage
from sbp_bayes.progress import LineSink, Report, format_seconds, send_reports_to


def run_graph(targets: list[Stage], root: Path, workers: int, threads: int, device: str) -> None:
    """Run every stage that the targets need and that is not finished.

    root: the folder of stages; workers: processes; threads: threads of each. Raises UserError as soon as one stage
    does; what is under way is stopped, what is finished is kept.
    """
    waiting = [stage for stage in in_order(targets) if not stage.is_finished(root)]
    if not waiting:
        return
    total = sum(stage.cost for stage in waiting)
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    display = Display(len(waiting), total)
    listener = threading.Thread(target=_listen, args=(reports, display), daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (reports, threads, os.getpid()))
    running: dict[Future, Stage] = {}
    try:
        while waiting or running:
            ready = [s for s in waiting if all(i.is_finished(root) for i in s.inputs.values())]
            for stage in ready[: workers - len(running)]:
                waiting.remove(stage)
                running[pool.submit(_run_in_worker, stage, root, device)] = stage
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                display.finish(running.pop(future))
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died (killed, or out of memory: try --workers 1); run the same command to continue"
        ) from error
    finally:
        for process in list(pool._processes.values()) if running else []:
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        reports.put(None)
        listener.join()
        display.close()


def _start_worker(reports: Any, threads: int, parent: int) -> None:
    """Set up a worker: its reports go to its parent."""
    start_worker(parent, threads)
    send_reports_to(reports.put)
    import torch

    torch.set_num_threads(threads)


def _run_in_worker(stage: Stage, root: Path, device: str) -> None:
    from sbp_bayes.stages import KINDS

    run_stage(stage, KINDS[stage.kind], root, device)


def _listen(reports: Any, display: "Display") -> None:
    while (report := reports.get()) is not None:
        display(report)


class Display:
    """What a person sees of a running graph: bars on a terminal, lines in a log file."""

    def __init__(self, stages: int, cost: float):
        self.stages, self.cost = stages, cost
        self.finished, self.spent = 0, 0.0
        self.start = time.monotonic()
        self.lines = LineSink()
        self.bars: Any = None
        self.tasks: dict[str, Any] = {}
        self.lock = threading.Lock()
        if sys.stderr.isatty():
            self._open_bars()

    def _open_bars(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.bars = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(24),
            TextColumn("{task.percentage:3.0f} %  {task.fields[detail]}"),
            console=Console(stderr=True),
        )
        self.bars.start()
        self.overall = self.bars.add_task("all stages", total=self.cost, detail="")

    def __call__(self, report: Report) -> None:
        with self.lock:
            if self.bars is None:
                self.lines(report)
                return
            if report.name not in self.tasks:
                self.tasks[report.name] = self.bars.add_task(report.name, total=report.total, detail="")
            detail = report.line().split("%", 1)[1].strip()
            self.bars.update(self.tasks[report.name], completed=report.done, detail=detail)
            if report.finished:
                self.bars.remove_task(self.tasks.pop(report.name))

    def finish(self, stage: Stage) -> None:
        """A stage is finished: move the overall bar, or say so in a line."""
        with self.lock:
            self.finished += 1
            self.spent += stage.cost
            elapsed = time.monotonic() - self.start
            left = elapsed * (self.cost - self.spent) / self.spent
            times = f"{format_seconds(elapsed)} gone, {format_seconds(left)} left"
            state = f"{self.finished} of {self.stages} stages, {times}"
            if self.bars is None:
                print(f"{stage.name}: finished ({state})", file=sys.stderr, flush=True)
            else:
                self.bars.update(self.overall, completed=self.spent, detail=state)

    def close(self) -> None:
        if self.bars is not None:
            self.bars.stop()


def default_workers(device: str) -> int:
    """One process a core, at most eight; one on a GPU, which does not share well."""
    return 1 if device.startswith("cuda") else max(1, min(8, os.cpu_count() or 1))
