"""The command `sbp evaluate`: a run's models, or an exported one, on tasks of lm-evaluation-harness."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

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
    device: str = "auto"
    """cpu, cuda, or auto."""


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
    """A line a task and metric, a column a model; the standard error is over items."""
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys((row.subject, row.seed) for row in rows))
    table = Table(box=None, pad_edge=False)
    table.add_column("task")
    several = len({seed for _, seed in columns}) > 1
    for subject, seed in columns:
        table.add_column(f"{subject}, seed {seed}" if several else subject, justify="right")
    table.add_column("chance", justify="right")
    for measure in dict.fromkeys(row.measure for row in rows):
        found = {(row.subject, row.seed): row for row in rows if row.measure == measure}
        chance = next(iter(found.values())).null
        cells = [_cell(found[column]) if column in found else "–" for column in columns]
        table.add_row(" ".join(measure.split()[1:]), *cells, "–" if chance is None else f"{chance:.3f}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"shares of items answered right, or perplexities; ± standard errors over {max(r.n for r in rows):,} items"
    )


def _cell(row: "Result") -> str:
    digits = 3 if row.unit == "share" else 2
    return f"{row.estimate:.{digits}f}" + (f" ± {row.se:.{digits}f}" if row.se is not None else "")
