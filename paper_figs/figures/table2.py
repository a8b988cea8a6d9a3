"""Table 2 of the paper beside ours: the quality of synthetic text."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names
from paper_figs.figures.drawn_table import draw_table
from paper_figs.figures.published import MARKS
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.quality_table import table_2, tenths
from paper_figs.wording import count, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENTS = ("lexicon", "narration")


def draw(tables: Path) -> "Figure | None":
    """The table drawn; None where no table has measured text."""
    found = _found(tables)
    return draw_table(table_2(found[1].results, found[2])) if found else None


def caption(tables: Path) -> str | None:
    """Repetition of SBP's text beside that of real text, and what the shares rest on."""
    found = _found(tables)
    if not found:
        return None
    experiment, cell, subjects = found
    rows = {subject: _repetition(cell, subject) for subject in subjects}
    parts = [f"{names.arm_label(s)} {interval(row, tenths)}" for s, row in rows.items() if row]
    documents = max(row["n"] for row in cell.results.of(names.TEXT_REPETITION) if row["seed"] is not None)
    return (
        f"A run of 13 words occurs twice in {', '.join(parts)} of documents. Experiment {experiment} "
        f"({cell.results.label}), {count(len(cell.results.seeds), 'seed')}, {count(documents, 'document')} a seed; "
        f"shares of documents, lower is better; non-factual and irrelevant by a judge, where a run named one. {MARKS}"
    )


def _repetition(cell: Cell, subject: str) -> dict | None:
    found = cell.results.of(names.TEXT_REPETITION, subject)
    return next((row for row in found if row["seed"] is None and row["at"] == 13), None)


def _found(tables: Path) -> tuple[str, Cell, list[str]] | None:
    for experiment in EXPERIMENTS:
        for cell in read_table(tables, experiment)[:1]:
            if subjects := cell.results.subjects(names.TEXT_REPETITION):
                return experiment, cell, subjects
    return None
