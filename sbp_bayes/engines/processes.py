"""The default engine: worker processes on this machine. One that dies loses the task that it was at, and no other."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from sbp_bayes.engines.tasks import Task, perform

ATTEMPTS = 2  # of a task whose process dies: by chance once, twice for a reason


def start_worker(parent: int, threads: int) -> None:
    """Set up a worker process: Ctrl-C is the parent's business, and a worker does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # The compiler's own pool of processes would multiply the workers.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_in_processes(
    tasks: Sequence[Task], folder: Path, workers: int, threads: int, told: Callable[[Task, str], None]
) -> None:
    """Perform ``tasks`` in ``workers`` processes; ``told(task, reason)`` hears of each at its end, with no reason
    where it went well. Each worker is a pool of its own, so that the death of one is known by its task."""
    waiting = deque((task, 1) for task in tasks)
    idle = [_worker(threads) for _ in range(min(workers, len(tasks)))]
    running: dict[Future, tuple[ProcessPoolExecutor, Task, int]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                worker, (task, attempt) = idle.pop(), waiting.popleft()
                running[worker.submit(perform, task, folder)] = (worker, task, attempt)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                worker, task, attempt = running.pop(future)
                try:
                    told(task, future.result())
                except BrokenProcessPool:
                    worker.shutdown()
                    worker = _worker(threads)
                    if attempt < ATTEMPTS:
                        waiting.appendleft((task, attempt + 1))
                    else:
                        told(task, f"its process died {ATTEMPTS} times (killed, or out of memory: fewer --workers)")
                idle.append(worker)
    finally:
        for worker, _, _ in running.values():
            for process in list(worker._processes.values()):
                process.terminate()
        for worker in [*idle, *(worker for worker, _, _ in running.values())]:
            worker.shutdown(cancel_futures=True)


def _worker(threads: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start_worker, (os.getpid(), threads))
