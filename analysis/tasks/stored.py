"""Scores on tasks as rows of the one results format, beside the run that they are of."""

from collections.abc import Sequence
from pathlib import Path

from analysis import measures
from analysis.summary import summarise
from analysis.tasks.harness import Score
from sbp_bayes.files import read_json, write_json
from sbp_bayes.results import Result, read_results, write_results
from sbp_bayes.run import COMPLETE

FOLDER = "tasks"
PROVENANCE = "provenance.json"


def rows_of(scores: Sequence[Score], subject: str, world: str, seed: int | None, checkpoint: str) -> list[Result]:
    """measure: ``task NAME METRIC CHECKPOINT``; null: chance."""
    return [
        Result(
            measures.at_checkpoint(f"{measures.TASK} {score.task} {score.metric}", checkpoint),
            subject,
            world,
            seed,
            score.estimate,
            score.se,
            score.n,
            score.chance,
            "perplexity" if "perplexity" in score.metric else "share",
        )
        for score in scores
    ]


def store(run: Path, rows: Sequence[Result], provenance: dict) -> None:
    """Add rows to ``tasks/results.json`` of a run; those of the same measure, subject and seed are replaced.

    What belongs to an earlier run under this name goes. Rows over seeds have 95 % bootstrap intervals.
    """
    folder = run / FOLDER
    identity = read_json(run / COMPLETE).get("identity")
    before: list[Result] = []
    known: dict = {}
    if (folder / PROVENANCE).exists() and read_json(folder / PROVENANCE).get("identity") == identity:
        known = read_json(folder / PROVENANCE)["tasks"]
        before = [row for row in read_results(folder) if row.seed is not None]
    kept = {(row.measure, row.subject, row.seed): row for row in [*before, *rows]}
    folder.mkdir(exist_ok=True)
    write_results(folder, summarise(list(kept.values())))
    write_json(folder / PROVENANCE, {"identity": identity, "tasks": {**known, **provenance}})
