"""What failures cost, by simulation: ``python benchmarks/scaling_failures.py``.

Workers fail as a Poisson process and come back after a while. Compared: what is lost is the task that the worker was at
(our engines), the worker's whole share (ranks that resume by themselves only when complete), or the whole stage (none
resumes). Writes benchmarks/results/scaling_failures.json and prints the table of docs/scaling.md.
"""

import heapq
import math
from pathlib import Path

import numpy as np

from sbp_bayes.files import write_json
from sbp_bayes.seeds import numpy_generator

RESULTS = Path(__file__).parent / "results" / "scaling_failures.json"
WORKERS, HOURS = 128, 24.0  # of one stage, if nothing failed
RESTART = 0.1  # hours until a failed worker is back
RATES = (0.0001, 0.001, 0.01)  # failures a worker and hour: one in 14 months, in 6 weeks, in 4 days
TASKS = (0.1, 1.0, 6.0)  # hours of a task
SAMPLES = 20
HOPELESS = 1e4  # hours: a stage that takes longer is given up


def with_tasks(
    rate: float, task: float, rng: np.random.Generator, workers: int = WORKERS, hours: float = HOURS
) -> float:
    """Hours until all tasks are done, by workers that take one after the other and lose only the one they are at."""
    free = [(0.0, worker) for worker in range(workers)]
    heapq.heapify(free)
    waiting, end = round(workers * hours / task), 0.0
    while waiting:
        now, worker = heapq.heappop(free)
        failure = rng.exponential(1 / rate)
        if failure < task:
            heapq.heappush(free, (now + failure + RESTART, worker))
            continue
        waiting -= 1
        end = max(end, now + task)
        heapq.heappush(free, (now + task, worker))
    return end


def restarting(rate: float, hours: float, rng: np.random.Generator) -> float:
    """Hours until a piece of work of ``hours`` is done once without a failure, begun again after each."""
    now = 0.0
    while now < HOPELESS:
        failure = rng.exponential(1 / rate)
        if failure >= hours:
            return now + hours
        now += failure + RESTART
    return math.inf


def simulated(rate: float) -> dict[str, float]:
    """Mean hours of the stage, by what a failure loses."""
    found: dict[str, list[float]] = {}
    for sample in range(SAMPLES):
        rng = numpy_generator("failures", int(1 / rate), sample)
        for task in TASKS:
            found.setdefault(f"a task of {task:g} h", []).append(with_tasks(rate, task, rng))
        shares = [restarting(rate, HOURS, rng) for _ in range(WORKERS)]
        found.setdefault("a worker's share", []).append(max(shares))
        found.setdefault("the stage", []).append(restarting(rate * WORKERS, HOURS, rng))
    return {name: float(np.mean(values)) for name, values in found.items()}


def table(rows: dict[str, dict[str, float]]) -> list[str]:
    names = list(next(iter(rows.values())))
    lines = [f"| failures a worker and hour | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for rate, hours in rows.items():
        cells = [f"{h:.1f} h (+{h / HOURS - 1:.0%})" if h < HOPELESS else "never" for h in hours.values()]
        lines.append(f"| {rate} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    rows = {f"{rate:g}": simulated(rate) for rate in RATES}
    print("\n".join(table(rows)))
    finite = {rate: {n: h if math.isfinite(h) else None for n, h in hours.items()} for rate, hours in rows.items()}
    settings = {"workers": WORKERS, "hours": HOURS, "restart_hours": RESTART, "samples": SAMPLES}
    write_json(RESULTS, {**settings, "mean_hours": finite})
