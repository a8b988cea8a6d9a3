"""The one results format: a tidy table, one row a measure, as JSON and as Parquet."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write, read_json, write_json


@dataclass(frozen=True)
class Result:
    """One measured number.

    measure:  what was measured, e.g. ``bayes_gap``
    subject:  of what: a synthesizer or an arm, e.g. ``transformer``, ``sbp``, ``sbp - random-pairs``
    world:    the world's or corpus's name with its preset and dials, e.g. ``bow(overlap=0.6)``
    seed:     the experiment seed, or None for a figure over all seeds
    estimate: the number, in ``unit``
    se:       its standard error, None where there is none
    n:        how many independent units (documents, seeds) it rests on
    null:     what the measure is where there is no effect (or the exact value), None where undefined
    unit:     nats/document, nats/token, bits/token, share, documents, ...
    at:       where along a curve (position in the document, training step), None for a scalar
    low, high: bounds of an interval, where one was computed (95 % unless the measure says otherwise)
    cell:     the cell of a sweep, None outside one
    """

    measure: str
    subject: str
    world: str
    seed: int | None
    estimate: float
    se: float | None
    n: int
    null: float | None
    unit: str
    at: float | None = None
    low: float | None = None
    high: float | None = None
    cell: str | None = None


SCHEMA = pa.schema(
    [
        ("measure", pa.string()),
        ("subject", pa.string()),
        ("world", pa.string()),
        ("seed", pa.int64()),
        ("estimate", pa.float64()),
        ("se", pa.float64()),
        ("n", pa.int64()),
        ("null", pa.float64()),
        ("unit", pa.string()),
        ("at", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("cell", pa.string()),
    ]
)


def _row(result: Result) -> dict:
    """JSON has no NaN or infinity: such an estimate is stored as null, so that a reader sees a gap, not a number."""
    row = dataclasses.asdict(result)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def write_results(folder: Path, results: Iterable[Result]) -> None:
    """Write ``results.json`` (a list of objects) and ``results.parquet`` into ``folder``, each atomically."""
    rows = [_row(result) for result in results]
    write_json(folder / "results.json", rows)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    atomic_write(folder / "results.parquet", lambda path: pq.write_table(table, path))


def read_results(path: Path) -> list[Result]:
    """Read ``results.json`` back (``path`` is the file or its folder); an estimate stored as null becomes NaN."""
    file = path / "results.json" if path.is_dir() else path
    rows = read_json(file)
    try:
        return [Result(**{**row, "estimate": math.nan if row["estimate"] is None else row["estimate"]}) for row in rows]
    except (TypeError, KeyError) as error:
        raise UserError(f"{file}: not a results table ({error})") from error
