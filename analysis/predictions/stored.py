"""Findings as files: findings.json, one row a finding, with the world and the seed that it was measured in."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from analysis.predictions.finding import Finding
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, write_json

FILE = "findings.json"
NOT_FINITE = {"infinite": math.inf, "minus infinite": -math.inf, "undefined": math.nan}  # JSON has none of them


@dataclass(frozen=True)
class Measured:
    """A finding and where it was made: world, the label of the world; seed, the experiment's."""

    finding: Finding
    world: str
    seed: int


def write_findings(folder: Path, rows: Sequence[Measured]) -> None:
    """Write ``findings.json`` into ``folder`` atomically: the fields of each finding, its world and seed."""
    write_json(folder / FILE, [_plain({**asdict(row.finding), "world": row.world, "seed": row.seed}) for row in rows])


def read_findings(path: Path) -> list[Measured]:
    """Read ``findings.json`` back (``path`` is the file or its folder). Raises UserError where it is no such file."""
    file = path / FILE if path.is_dir() else path
    rows = read_json(file)
    if not isinstance(rows, list):
        raise UserError(f"{file}: not a table of findings ({type(rows).__name__}; expected a list)")
    try:
        return [_measured(row) for row in rows]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{file}: not a table of findings ({error})") from error


def _measured(row: dict) -> Measured:
    row = {"control": False, **row}  # findings of before controls were told apart
    values = {f.name: row[f.name] for f in fields(Finding) if f.name != "df"}  # of one seed it is infinite
    numbers = {name: float(NOT_FINITE.get(values[name], values[name])) for name in ("estimate", "se", "null")}
    return Measured(Finding(**{**values, **numbers}), row["world"], row["seed"])


def _plain(row: dict) -> dict:
    return {name: _word(value) if isinstance(value, float) else value for name, value in row.items() if name != "df"}


def _word(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "undefined" if math.isnan(value) else "infinite" if value > 0 else "minus infinite"
