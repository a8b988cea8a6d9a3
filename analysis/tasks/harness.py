"""Runs lm-evaluation-harness in this process, offline unless asked, and gives its numbers as rows."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.tasks.catalogue import TASKS
from analysis.tasks.published import ACCURACIES, PUBLISHED, SHARES
from analysis.tasks.write import items_file, read_tasks
from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    from lm_eval.api.model import LM

BOOTSTRAP = 1000  # resamples behind the standard error of a perplexity


@dataclass(frozen=True)
class AskedTask:
    """name: ours; harness: the harness's; shots: solved examples in the prompt; chance: None where there is none."""

    name: str
    harness: str
    shots: int
    metrics: tuple[str, ...]
    chance: float | None


@dataclass(frozen=True)
class Score:
    """One number of one task: an accuracy as a share, or a perplexity, with its standard error over ``n`` items."""

    task: str
    metric: str
    estimate: float
    se: float | None
    n: int
    chance: float | None


def asked_tasks(names: Sequence[str], folder: Path) -> list[AskedTask]:
    """The tasks called ``names``; those made of dictionaries lie in ``folder``. UserError for what is not there."""
    found = []
    for name in names:
        if name.lower() in PUBLISHED:
            task = PUBLISHED[name.lower()]
            found.append(AskedTask(name.lower(), task.harness, task.shots, task.metrics, task.chance))
        elif name in TASKS:
            made = read_tasks(folder)["tasks"]
            if name not in made:
                raise UserError(f"{folder}: has no task {name} (it has {', '.join(made)})")
            _check_items(items_file(folder, name))
            found.append(AskedTask(name, name, 0, ACCURACIES, made[name]["chance"]))
        else:
            raise UserError(f"--tasks {name!r}: no such task (there are: {', '.join([*TASKS, *PUBLISHED])})")
    return found


def _check_items(file: Path) -> None:
    """UserError for items that aren't there or are damaged, which the harness would answer with a traceback."""
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    json.loads(line)
                except ValueError as error:
                    raise UserError(f"{file}: line {number} is not JSON; sbp tasks makes the items anew") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: could not be read; sbp tasks makes the items anew") from error


class Harness:
    """The harness, ready to ask ``tasks``; made once for many models. UserError where it isn't installed."""

    def __init__(self, tasks: Sequence[AskedTask], folder: Path, hub: bool):
        if find_spec("lm_eval") is None:
            raise UserError("sbp evaluate: needs lm-evaluation-harness: pip install -e '.[eval]'")
        if not hub:
            # Read when these libraries are imported.
            os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
        from lm_eval.tasks import TaskManager

        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        self.tasks, self.hub = list(tasks), hub
        own = any(task.name in TASKS for task in tasks)
        published = any(task.name in PUBLISHED for task in tasks)
        self.manager = TaskManager(include_path=str(folder) if own else None, include_defaults=published)

    def scores(self, model: "LM", limit: int | None) -> list[Score]:
        """Ask a model all tasks; limit: items of each, None for all. UserError where a task's data can't be had."""
        found = []
        for task in self.tasks:
            results = self._results(task, model, limit)
            numbers = results["results"][task.harness]
            # A group such as mmlu has items in its members alone.
            n = sum(count["effective"] for count in results["n-samples"].values())
            for metric in task.metrics:
                key = next((key for key in numbers if key.partition(",")[0] == metric), None)
                if key is not None:
                    se = numbers.get(key.replace(metric, f"{metric}_stderr", 1))
                    chance = task.chance if metric in ACCURACIES else None
                    se = float(se) if isinstance(se, int | float) else None
                    if se == 0 and metric in SHARES:
                        se = agresti_coull_error(float(numbers[key]), n)
                    found.append(Score(task.name, metric, float(numbers[key]), se, n, chance))
        return found

    def _results(self, task: AskedTask, model: "LM", limit: int | None) -> dict:
        from lm_eval import simple_evaluate

        try:
            with _without_bars():
                return simple_evaluate(
                    model,
                    tasks=[task.harness],
                    num_fewshot=task.shots,
                    limit=limit,
                    bootstrap_iters=BOOTSTRAP,
                    task_manager=self.manager,
                    log_samples=False,
                    # None: our generators are seeded by their paths, and the process's own state is nobody's to set.
                    random_seed=None,
                    numpy_random_seed=None,
                    torch_random_seed=None,
                )
        except OSError as error:  # what the datasets and the hub's libraries raise is of this kind
            reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
            how = "the hub did not give it" if self.hub else "it is in no local cache; --hub asks the hub"
            raise UserError(f"task {task.name}: no data, {how} ({reason})") from error


def agresti_coull_error(share: float, n: int) -> float:
    """Standard error of a share of ``n`` items with two of each answer added (Agresti and Coull 1998): above 0 also
    where all items agree, of which the plain formula makes certainty."""
    added = (share * n + 2) / (n + 4)
    return (added * (1 - added) / (n + 4)) ** 0.5


@contextmanager
def _without_bars() -> Iterator[None]:
    """The harness's own bars are left out; ours show. tqdm's variables are read when torch imports it: too early."""
    from tqdm import tqdm

    whole = vars(tqdm)["__init__"]
    start = tqdm.__init__

    def disabled(self: tqdm, *arguments: Any, **options: Any) -> None:
        start(self, *arguments, **{**options, "disable": True})

    tqdm.__init__ = disabled
    try:
        yield
    finally:
        tqdm.__init__ = whole
