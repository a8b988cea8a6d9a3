"""The command `sbp evaluate`: a run's models, or an exported one, on tasks of lm-evaluation-harness."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from analysis import measures
from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    from analysis.tasks.harness import AskedTask
    from sbp_bayes.results import Result


@dataclass(frozen=True)
class EvaluateArguments:
    """Ask models questions, by log-likelihood, through lm-evaluation-harness; without a network unless --hub.

    Tasks made by `sbp tasks` lie in --folder: lexicon-definition, lexicon-hypernym, lexicon-acronym,
    lexicon-description, lexicon-topic, lexicon-synonym. The paper's own, from the hub or its local cache:
    arc-challenge, arc-easy, sciq, winogrande, triviaqa, webqs, mmlu, lambada, openwebtext2, or all of them: paper.
    Of a run the numbers go to RUN/tasks/results.json and into its report. See docs/evaluation.md.

    Example: sbp evaluate runs/lexicon --tasks lexicon-definition,lexicon-topic --folder corpora/tasks
    """

    model_or_run: tyro.conf.Positional[Path]
    """A finished run, what a launch trained, or a Hugging Face folder of sbp export."""
    tasks: str
    """Names, separated by commas."""
    folder: Path = Path("corpora/tasks")
    """Where sbp tasks put its tasks."""
    model: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Of a run: "arm sbp", base, ..., as often as needed; by default all arms."""
    seed: int | None = None
    """Of a run: one of its seeds; by default all."""
    checkpoint: Literal["best", "final"] = "best"
    """best: lowest loss on held-out documents; final: where training ended."""
    limit: int | None = None
    """Items of each task, from the first; by default all."""
    hub: bool = False
    """Let the harness fetch what is in no local cache."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""


def evaluate(arguments: list[str]) -> int:
    """Ask a run's models, or an exported one, the questions of tasks (lexicon-definition, arc-easy, ...)."""
    parsed = tyro.cli(EvaluateArguments, prog="sbp evaluate", args=arguments)
    if parsed.limit is not None and parsed.limit < 1:
        raise UserError(f"--limit {parsed.limit}: expected 1 or more")
    from analysis.tasks.evaluated import evaluated_models, is_run
    from analysis.tasks.harness import Harness, asked_tasks
    from analysis.tasks.published import PUBLISHED
    from analysis.tasks.stored import rows_of, store

    names = [name.strip() for name in parsed.tasks.split(",") if name.strip()]
    names = [one for name in names for one in (PUBLISHED if name == "paper" else [name])]
    if not names:
        raise UserError("--tasks: expected at least one name (--help lists them)")
    asked = asked_tasks(names, parsed.folder)
    _warn_of_leakage(parsed.model_or_run, parsed.folder, asked)
    models = evaluated_models(parsed.model_or_run, list(parsed.model), parsed.seed, parsed.checkpoint)
    first = next(models)  # what is not there is told before the harness is loaded, which takes seconds
    harness = Harness(asked, parsed.folder, parsed.hub)
    from analysis.tasks.scorer import Scorer

    rows: list[Result] = []
    for one in (first, *models):
        model = one.model.to(_device(parsed.device)).eval()
        scores = harness.scores(Scorer(model, one.tokenizer, one.context, one.subject), parsed.limit)
        rows += rows_of(scores, one.subject, one.world, one.seed, parsed.checkpoint)
    _show(rows)
    if is_run(parsed.model_or_run):
        from sbp_bayes.run import report

        store(parsed.model_or_run, rows, _provenance(asked, parsed))
        report(parsed.model_or_run)
        print(f"report: {parsed.model_or_run / 'report.html'}")
    return 0


def _device(name: str) -> str:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: there is no GPU that torch can use")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _warn_of_leakage(place: Path, folder: Path, asked: Sequence["AskedTask"]) -> None:
    """One line where tasks made of dictionaries were not made for this run's split of headwords."""
    import sys

    from analysis.tasks.catalogue import TASKS
    from analysis.tasks.evaluated import is_run
    from analysis.tasks.leakage import Training
    from analysis.tasks.write import read_tasks

    if not any(task.name in TASKS for task in asked) or not is_run(place):
        return
    made_for = read_tasks(folder)["corpora"]
    try:
        same = sorted(Training.of_run(place).fingerprints) == made_for
    except UserError:
        same = False
    if not same:
        note = f"note: the tasks in {folder} were not made for {place}, which may have read what they ask"
        print(f"{note}; sbp tasks {folder} --run {place} makes them anew", file=sys.stderr)


def _provenance(asked: Sequence["AskedTask"], parsed: EvaluateArguments) -> dict:
    """Task -> how it was asked, and by which items."""
    from analysis.tasks.catalogue import TASKS
    from analysis.tasks.write import items_file, read_tasks
    from sbp_bayes.files import file_hash
    from sbp_bayes.run_folder import package_version

    how = {"limit": parsed.limit, "lm-eval": package_version("lm-eval")}
    found = {}
    for task in asked:
        own = {"harness": task.harness, "shots": task.shots, **how}
        if task.name in TASKS:
            record = read_tasks(parsed.folder)
            made = {"mode": record["mode"], "seed": record["seed"], **record["tasks"][task.name]}
            own |= {**made, "sha256": file_hash(items_file(parsed.folder, task.name))}
        found[task.name] = own
    return found


def _show(rows: Sequence["Result"]) -> None:
    """A line a task and metric, a column a model: of one seed with the error over items, of several their mean."""
    from rich.console import Console
    from rich.table import Table

    models: dict[str, dict[str, list[Result]]] = {}
    for row in rows:
        models.setdefault(row.subject, {}).setdefault(row.measure, []).append(row)
    table = Table(box=None, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for subject in models:
        table.add_column(subject, justify="right", no_wrap=True)
    table.add_column("chance", justify="right", no_wrap=True)
    chances = {row.measure: row.null for row in rows}
    for measure, chance in chances.items():
        cells = [_cell(found.get(measure, [])) for found in models.values()]
        name = measure.removeprefix(f"{measures.TASK} ")
        table.add_row(name, *cells, "–" if chance is None else f"{chance:.3f}")
    # Wide enough for every column, whatever the terminal: a number broken in two is none.
    console = Console(highlight=False, width=60 + 20 * len(models))
    console.print(table)
    seeds, n = len({row.seed for row in rows}), max(row.n for row in rows)
    spread = "± standard errors over items" if seeds == 1 else f"mean of {seeds} seeds ± half their range"
    console.print(f"shares of items answered right, or perplexities; {spread}; at most {n:,} items")


def _cell(rows: Sequence["Result"]) -> str:
    if not rows:
        return "–"
    values = [row.estimate for row in rows]
    spread = rows[0].se if len(rows) == 1 else (max(values) - min(values)) / 2
    return f"{sum(values) / len(values):.3f}" + (f" ± {spread:.3f}" if spread is not None else "")
