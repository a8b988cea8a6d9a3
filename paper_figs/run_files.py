"""A finished run as its files tell it: results, training metrics, examples, configuration and provenance."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

PUBLISHED = Path(__file__).parent / "published"
AGAIN = "sbp run --fresh writes it again"  # what mends a damaged file of a run


@dataclass(frozen=True)
class Results:
    """Rows of results.json, each a dict with the keys of the table; an estimate of None is infinite or undefined."""

    rows: list[dict]

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that have rows, ascending."""
        return sorted({row["seed"] for row in self.rows if row["seed"] is not None})

    @cached_property
    def label(self) -> str:
        """The world's or corpus's name."""
        return ", ".join(dict.fromkeys(row["world"] for row in self.rows))

    def of(self, measure: str, subject: str | None = None) -> list[dict]:
        """Rows of a measure, of one subject or of all, in file order."""
        return [r for r in self.rows if r["measure"] == measure and subject in (None, r["subject"])]

    def subjects(self, measure: str) -> list[str]:
        """Subjects of a measure in order of appearance."""
        return list(dict.fromkeys(row["subject"] for row in self.of(measure)))

    def over_seeds(self, measure: str, subject: str) -> dict | None:
        """The row over seeds; None where there is none or its estimate is undefined."""
        return next((r for r in self.of(measure, subject) if r["seed"] is None and r["estimate"] is not None), None)

    def by_seed(self, measure: str, subject: str) -> dict[int, dict]:
        """seed -> row, where the estimate is defined."""
        found = [r for r in self.of(measure, subject) if r["seed"] is not None and r["estimate"] is not None]
        return {row["seed"]: row for row in sorted(found, key=lambda row: row["seed"])}


def read_results(run: Path) -> Results:
    """The run's results.json. Raises RunFileError where there is none."""
    return Results(_json(run / "results.json"))


def read_cells(run: Path) -> dict[str, dict]:
    """Of a sweep: cell -> the values that it sets, by key; ``block`` is its part of the sweep."""
    return _json(run / "cells.json")


def read_metrics(run: Path) -> dict[str, dict[int, list[dict]]]:
    """subject -> seed -> lines of ``metrics/<seed>/<subject>.jsonl``; arms without their prefix."""
    found: dict[str, dict[int, list[dict]]] = {}
    for file in sorted((run / "metrics").glob("*/*.jsonl")):
        lines = [_parsed(file, line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        found.setdefault(file.stem.removeprefix("arm "), {})[int(file.parent.name)] = lines
    return found


def read_examples(run: Path) -> list[dict]:
    """The example documents, [] where a run has none."""
    return _json(run / "examples.json", [])


def read_verdicts(run: Path) -> list[dict]:
    """The verdicts on the predictions, [] where none was put to a synthesizer; an estimate of None is infinite."""
    return _json(run / "verdicts.json", [])


def read_pictures(run: Path, subject: str) -> dict[int, dict[str, dict]]:
    """seed -> name -> numbers behind a picture of one synthesizer; {} where there are none."""
    files = sorted((run / "seeds").glob("*/pictures.json"), key=lambda file: int(file.parent.name))
    return {int(file.parent.name): _json(file).get(subject, {}) for file in files}


def read_experiment(run: Path) -> dict:
    """The resolved configuration, {} where it is missing."""
    return _json(run / "experiment.json", {})


def read_provenance(run: Path) -> dict:
    """Versions, machine, sources and ledger, {} where they are missing."""
    return _json(run / "provenance.json", {})


def read_pairs(folder: Path) -> dict:
    """The statistics of a folder of pairs. Raises RunFileError where there are none."""
    return _json(folder / "pairs.json", again="sbp pairs writes it again")


def read_published(name: str) -> list[dict[str, str]]:
    """A table of published numbers, each with its certainty mark and source."""
    with (PUBLISHED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_json_file(path: Path) -> Any:
    """Any other file of a run. Raises RunFileError where it is missing or damaged."""
    return _json(path)


def _json(path: Path, default: Any = None, again: str = AGAIN) -> Any:
    if default is not None and not path.exists():
        return default
    if not path.exists():
        raise RunFileError(f"{path}: not found")
    return _parsed(path, path.read_bytes(), again)


class RunFileError(ValueError):
    """A file of a run that is missing or damaged; one line that names it."""

    bad_input = True  # what the command line answers with one line and exit code 2


def _parsed(path: Path, text: str | bytes, again: str = AGAIN) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise RunFileError(f"{path}: damaged, not readable as JSON; {again}") from error
