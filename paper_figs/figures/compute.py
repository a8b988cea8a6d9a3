"""Floating-point operations of each arm, from ``compute.json`` of a result table."""

from pathlib import Path

from paper_figs.figures.result_tables import COMPUTE, Cell
from paper_figs.run_files import read_json_file

END_TO_END = "end to end"


def end_to_end(tables: Path, experiment: str, cell: Cell) -> dict[str, float]:
    """arm -> FLOPs of all that it rests on, mean over seeds; {} for a table made without them."""
    file = tables / experiment / COMPUTE
    rows = [row for row in read_json_file(file) if row["cell"] == cell.name] if file.exists() else []
    arms = dict.fromkeys(row["arm"] for row in rows)
    return {arm: _mean([row[END_TO_END] for row in rows if row["arm"] == arm]) for arm in arms}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
