"""Gain against how much one document leaves open of its concept, H(c|d1): true pairs, random pairs, the difference."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.points import RECOVERED, rests_on, whisker
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.wording import interval, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENTS = ("sweep-ambiguity", "bayes")
REAL = "corpus.real"
ARMS = (names.SBP, names.RANDOM_PAIRS, names.SBP_MINUS_RANDOM_PAIRS)
CHECKPOINTS = ((names.FINAL, "end of the budget"), (names.BEST, "best checkpoint"))


@style.styled
def draw(tables: Path) -> "Figure | None":
    """A panel a checkpoint: recovered shares over the share of the concept's entropy that d1 leaves open."""
    cells = _cells(tables)
    if not cells:
        return None
    drawn, panels = style.figure(2.9, 1, 2, sharey=True)
    at = [_open(cell) for cell in cells]
    for axes, (checkpoint, title) in zip(panels, CHECKPOINTS, strict=True):
        for arm in ARMS:
            look, measure = style.look(arm, []), names.at_checkpoint(names.RECOVERED, checkpoint)
            found = [(x, row) for x, cell in zip(at, cells, strict=True) if (row := cell.over(measure, arm))]
            for x, row in found:
                whisker(axes, x, row, 100, color=look.color, lw=1, alpha=0.7)
            means = [100 * row["estimate"] for _, row in found]
            axes.plot([x for x, _ in found], means, color=look.color, ls=look.dash, marker=look.marker, ms=4.5,
                      label=names.arm_label(arm))  # fmt: skip
        axes.axhline(0, color=style.MUTED, lw=0.8)
        axes.set_title(title, loc="left")
        axes.set_xlabel("H(c|d1) as a share of log C: 1 tells nothing")
    panels[0].set_ylabel("share of the oracle's gain (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=3)
    return drawn


def caption(tables: Path) -> str | None:
    """Where true pairs beat random ones most, and what they add where a document tells nothing."""
    cells = _cells(tables)
    if not cells:
        return None
    found = [(c, row) for c in cells if (row := c.over(RECOVERED, names.SBP_MINUS_RANDOM_PAIRS))]
    if not found:
        return None
    best, last = max(found, key=lambda pair: pair[1]["estimate"]), max(found, key=lambda pair: _open(pair[0]))
    return (
        f"At the end of the budget true pairs add most over random ones where H(c|d1) is {nats(_open(best[0]))} of "
        f"log C: {interval(best[1])} of the oracle's gain; where it is {nats(_open(last[0]))}, {interval(last[1])}. "
        f"{best[0].values[REAL]:,} documents in D. {rests_on(cells, RECOVERED, ARMS)}"
    )


def _cells(tables: Path) -> list[Cell]:
    """Cells of one number of real documents, the one that most cells have, by H(c|d1); arms trained."""
    for experiment in EXPERIMENTS:
        cells = [c for c in read_table(tables, experiment) if c.over(RECOVERED, names.SBP) and _entropies(c)]
        if cells:
            numbers = [cell.values[REAL] for cell in cells]
            usual = max(numbers, key=numbers.count)
            return sorted((cell for cell in cells if cell.values[REAL] == usual), key=_open)
    return []


def _entropies(cell: Cell) -> bool:
    rows = [cell.over(measure, names.WORLD) for measure in (names.CONCEPT_ENTROPY, names.LOG_CONCEPTS)]
    return all(rows) and rows[1]["estimate"] > 0


def _open(cell: Cell) -> float:
    entropy, most = (cell.over(m, names.WORLD)["estimate"] for m in (names.CONCEPT_ENTROPY, names.LOG_CONCEPTS))
    return entropy / most
