"""The evaluator plugin ``predictions`` (entry point group ``sbp_bayes.evaluators``): what one seed's synthesizers show.

Leaves findings.json, and pictures.json with the few numbers that figures are drawn from, in the seed's folder.
"""

from collections.abc import Sequence
from pathlib import Path

from analysis import measures
from analysis.predictions.catalogue import PREDICTIONS
from analysis.predictions.evaluation_pairs import add_alarm
from analysis.predictions.finding import Finding
from analysis.predictions.pictures import pictures_of
from analysis.predictions.stored import Measured, write_findings
from analysis.predictions.subject import Subject
from analysis.predictions.subjects import subjects_of, why_none
from analysis.rows import Rows
from sbp_bayes.experiment import SeedContext
from sbp_bayes.files import write_json
from sbp_bayes.progress import Progress
from sbp_bayes.results import Result, read_results, write_results

PICTURES = "pictures.json"


def evaluate_predictions(context: SeedContext) -> None:
    """Put the predictions to the synthesizers of a seed, where ``evaluation.predictions`` says so.

    Writes ``findings.json`` and ``pictures.json``, and a row a finding (measure ``P4 entropy``) into the results. In a
    corpus whose exact Bayes nobody knows there is nothing to write.
    """
    write_results(context.out, [])
    if context.config.evaluation.predictions and why_none(context) is None:
        examine(context, context.out)


def examine(context: SeedContext, folder: Path) -> None:
    """Judge the synthesizers of a seed; ``pictures.json``, ``findings.json`` and rows of the results in ``folder``.

    Every synthesizer is judged; pictures are of the one of related pairs. Rows of the folder's ``results.json`` that
    say the same of another judgement are replaced, so that judging again doubles nothing.
    """
    rows = Rows(context.source["label"], context.seed)
    subjects = subjects_of(context)
    work = f"seed {context.seed}: predictions"
    found = [f for subject in subjects for f in judge_aloud(subject, work)]
    for f in found:
        rows.add(f"{f.prediction} {f.quantity}", f.subject, f.estimate, f.se, f.n, f.null, f.unit)
    for subject in subjects:
        add_alarm(rows, context, subject)
    drawn = {s.name: pictures_of(s) for s in subjects if s.name == measures.SYNTHESIZER}
    write_json(folder / PICTURES, drawn)
    write_results(folder, replaced(read_results(folder), rows.results))
    write_findings(folder, [Measured(f, rows.world, context.seed) for f in found])  # last: a seed that has it is done


def replaced(before: Sequence[Result], rows: Sequence[Result]) -> list[Result]:
    """``before`` less what ``rows`` measure anew (same measure, subject, world, seed and place), then ``rows``."""

    def key(row: Result) -> tuple:
        return row.measure, row.subject, row.world, row.seed, row.at, row.cell

    anew = {key(row) for row in rows}
    return [*(row for row in before if key(row) not in anew), *rows]


def judge_aloud(subject: Subject, work: str) -> list[Finding]:
    """As `catalogue.judge`, with progress in findings under the name ``work``."""
    found: list[Finding] = []
    with Progress(f"{work}, {subject.name}", len(PREDICTIONS), "predictions") as progress:
        for prediction in PREDICTIONS.values():
            if prediction.applies(subject) is None:
                found += prediction.measure(subject)
            progress.advance(1)
    return found
