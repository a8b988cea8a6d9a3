"""The arithmetic and the simulation behind docs/scaling.md."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def load(name: str) -> ModuleType:
    """A benchmark as a module; benchmarks/ is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


failures = load("scaling_failures")


@pytest.mark.parametrize(("rate", "hours"), [(0.1, 4.0), (1.0, 1.5)])
def test_work_that_begins_again_takes_what_theory_says(rate, hours):
    """Expected time of work of T hours under failures at rate r, each costing c: (1/r + c)(exp(rT) - 1)."""
    rng = np.random.default_rng(0)
    times = [failures.restarting(rate, hours, rng) for _ in range(20_000)]
    expected = (1 / rate + failures.RESTART) * (math.exp(rate * hours) - 1)
    assert abs(np.mean(times) - expected) < 4 * np.std(times) / math.sqrt(len(times))


def test_tasks_that_are_lost_alone_cost_little_and_longer_ones_more():
    rng = np.random.default_rng(0)
    undisturbed = failures.with_tasks(1e-9, 1.0, rng)
    assert undisturbed == pytest.approx(failures.HOURS)
    short, long = (np.mean([failures.with_tasks(0.02, task, rng) for _ in range(5)]) for task in (1.0, 6.0))
    assert undisturbed < short < long


def test_the_join_counts_every_pair_of_shards():
    scaling = load("scaling")
    plan = scaling.join(10e6)
    assert plan.tasks == 59**2
    assert plan.memory == 2 * 10e6 * 1024 * 2 + 10e6 * 200 * 8
    whole = plan.seconds * (scaling.DOCUMENTS / 10e6) ** 2 / 3600
    exact = next(row for row in scaling.stages() if row.stage == "neighbours, exact")
    assert whole == pytest.approx(exact.gpu_hours)
