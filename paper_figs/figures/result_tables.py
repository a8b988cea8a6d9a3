"""Committed result tables as figures read them: a folder of tables, in it one folder an experiment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paper_figs.run_files import Results, read_cells, read_experiment, read_results

COMPUTE = "compute.json"


@dataclass(frozen=True)
class Cell:
    """One experiment of a sweep, or a plain experiment (name None).

    values: dotted key -> value; of a sweep those that the cell sets above those that all cells share.
    """

    name: str | None
    values: dict[str, Any]
    results: Results

    def over(self, measure: str, subject: str) -> dict | None:
        """The row over seeds, None where the table has none."""
        return self.results.over_seeds(measure, subject)


def read_table(tables: Path, name: str) -> list[Cell]:
    """The cells of the table ``name``, in the sweep's order; a plain experiment is one cell; [] without a table."""
    folder = tables / name
    if not (folder / "results.json").exists():
        return []
    results, experiment = read_results(folder), read_experiment(folder)
    shared = flat({key: value for key, value in experiment.items() if key != "sweep"})
    if not (folder / "cells.json").exists():
        return [Cell(None, shared, results)]
    return [
        Cell(cell, {**shared, **values}, Results([row for row in results.rows if row.get("cell") == cell]))
        for cell, values in read_cells(folder).items()
    ]


def first_table(tables: Path, names: tuple[str, ...]) -> tuple[str, list[Cell]] | None:
    """The first of several experiments that has a table, with its cells; None where none has."""
    return next(((name, cells) for name in names if (cells := read_table(tables, name))), None)


def flat(table: dict, prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return found


def seeds_of(rows: list[dict | None]) -> int:
    """How many seeds the rows over seeds rest on, the most; 0 without rows."""
    return max((row["n"] for row in rows if row), default=0)
