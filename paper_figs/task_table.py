"""Scores of a run's models on tasks of lm-evaluation-harness, from ``tasks/results.json`` of the run folder."""

import json
from pathlib import Path

from paper_figs import names
from paper_figs.run_files import Results, read_results
from paper_figs.tables import Table
from paper_figs.wording import interval

FOLDER = "tasks"
NOTE = (
    "Multiple choice by log-likelihood and others through lm-evaluation-harness: shares of items answered right, or "
    "perplexities. ± is the standard error over items; with several seeds, brackets are 95 % bootstrap intervals over "
    "seeds. Chance is of guessing; tasks/provenance.json has what other rules that read no question get."
)


def task_table(run: Path) -> Table:
    """One row a task, metric and checkpoint, one column a model; empty where none was asked of this very run."""
    if not _belongs(run):
        return Table(["task"], [])
    results = read_results(run / FOLDER)
    measures = list(dict.fromkeys(row["measure"] for row in results.rows))
    subjects = list(dict.fromkeys(row["subject"] for row in results.rows))
    rows = []
    for measure in measures:
        chance = next(row["null"] for row in results.of(measure))
        cells = [_cell(results, measure, subject) for subject in subjects]
        rows.append([measure.removeprefix(f"{names.TASK} "), *cells, "–" if chance is None else f"{chance:.3f}"])
    return Table(["task", *map(names.arm_label, subjects), "chance"], rows)


def _belongs(run: Path) -> bool:
    """Whether the scores are of the run as it stands, not of an earlier one of the same name."""
    files = [run / FOLDER / "provenance.json", run / "complete.json"]
    if not all(file.exists() for file in files):
        return False
    of_tasks, of_run = (json.loads(file.read_text(encoding="utf-8")).get("identity") for file in files)
    return of_tasks == of_run


def _cell(results: Results, measure: str, subject: str) -> str:
    """Mean over seeds with its interval, or of one seed the estimate with its standard error over items."""
    over, seeds = results.over_seeds(measure, subject), results.by_seed(measure, subject)
    if over is None or len(seeds) > 1:
        return interval(over, "{:.3f}".format)
    (row,) = seeds.values()
    return f"{row['estimate']:.3f}" + (f" ± {row['se']:.3f}" if row["se"] is not None else "")
