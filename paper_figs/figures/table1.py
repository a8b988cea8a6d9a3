"""Table 1 of the paper below ours: the baseline, what SBP, random pairs and the oracle change, the share recovered."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names
from paper_figs.figures.drawn_table import draw_table
from paper_figs.figures.points import loss_measure
from paper_figs.figures.published import MARKS, scale
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.run_files import read_published
from paper_figs.tables import Table
from paper_figs.wording import count, interval, joined, nats, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENTS = ("demo", "hmm", "style", "narration", "lexicon")
CHECKPOINTS = ((names.FINAL, "end"), (names.BEST, "best"))
COMPARED = (names.SBP, names.RANDOM_PAIRS, names.ORACLE)
HEADER = ["", "measure", "certainty", "repetition", "SBP", "random pairs", "oracle", "SBP recovers"]


def table(tables: Path) -> Table:
    """Rows of the experiments that have tables, then the published ones; no rows without an experiment."""
    rows = [row for experiment, cell in _found(tables) for row in _own(experiment, cell)]
    if not rows:
        return Table(HEADER, [])
    for row in read_published("table1"):
        sbp, oracle = float(row["sbp_change"]), float(row["oracle_change"])
        measure = f"{row['benchmark']}, {row['unit']}"
        cells = [row["repetition"], _signed(sbp, 2), "–", _signed(oracle, 2), percent(sbp / oracle)]
        rows.append([f"paper, {scale(row)}", measure, row["certainty"], *cells])
    return Table(HEADER, rows, words=3)


def draw(tables: Path) -> "Figure | None":
    """The table drawn; None without a table of ours."""
    shown = table(tables)
    return draw_table(shown) if shown.rows else None


def caption(tables: Path) -> str | None:
    """The shares recovered, ours beside the paper's averages, with seeds and documents of each experiment."""
    found = _found(tables)
    if not found:
        return None
    ours = [
        f"{interval(row)} in {cell.results.label}"
        for _, cell in found
        if (row := cell.over(names.at_checkpoint(names.RECOVERED, names.FINAL), names.SBP))
    ]
    theirs = [percent(float(row["recovered_share"])) for row in read_published("recovered_share")]
    documents = [
        f"{cell.results.label} {count(len(cell.results.seeds), 'seed')} of {_heldout(cell)}" for _, cell in found
    ]
    return (
        f"Of the oracle's gain SBP recovers {joined(ours) if ours else 'no defined share'} at the end of the budget; "
        f"the paper's {joined(theirs)} of the gain in QA accuracy. Changes are from repetition; losses in nats/token, "
        "of worlds above exact Bayes; best: at the best validation checkpoint. Brackets: 95 % bootstrap intervals over "
        f"seeds. Held-out documents: {'; '.join(documents)}. {MARKS}"
    )


def _found(tables: Path) -> list[tuple[str, Cell]]:
    return [(e, cells[0]) for e in EXPERIMENTS if (cells := read_table(tables, e)) and cells[0].name is None]


def _own(experiment: str, cell: Cell) -> list[list[str]]:
    rows = []
    for checkpoint, where in CHECKPOINTS:
        measure, label = loss_measure([cell], checkpoint)
        found = {arm: cell.over(measure, arm) for arm in (names.REPETITION, *COMPARED)}
        start = found[names.REPETITION]
        if start is None:
            continue
        short = "excess loss" if "above" in label else "loss"
        changes = [_signed(row["estimate"] - start["estimate"], 4) if row else "–" for row in found.values()][1:]
        recovered = interval(cell.over(names.at_checkpoint(names.RECOVERED, checkpoint), names.SBP))
        rows.append(
            [f"{experiment}, {where}", f"{short}, nats/token", "measured", nats(start["estimate"]), *changes, recovered]
        )
    return rows


def _heldout(cell: Cell) -> str:
    return f"{cell.values['corpus.heldout']:,}"


def _signed(change: float, digits: int) -> str:
    return f"{change:+.{digits}f}".replace("-", "−")
