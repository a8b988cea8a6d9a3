"""Loss against the share of synthetic text, by real data size and by model size (the paper's Figures 6 and 7)."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.points import line, loss_measure, rests_on
from paper_figs.figures.published import scale, statements
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.run_files import read_published
from paper_figs.wording import joined, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "sweep-mixture"
SHARE, REAL, SIZE = "arms.synthetic_share", "corpus.real", "model.size"
LOOKS = (
    style.Look(style.BLUE, "-", "o"),
    style.Look(style.VERMILLION, (0, (5, 1.5)), "s"),
    style.Look(style.GREEN, (0, (2, 1)), "^"),
    style.Look(style.PURPLE, (0, (1, 1)), "D"),
)


@style.styled
def draw(tables: Path) -> "Figure | None":
    """Left a line a number of real documents, right a line a model size; a ring at the best share."""
    cells = _cells(tables)
    if not cells:
        return None
    drawn, panels = style.figure(3.0, 1, 2, sharey=True)
    measure, label = loss_measure(cells)
    for axes, groups, name in zip(panels, (_by_real(cells), _by_size(cells)), ("documents in D", "model"), strict=True):
        for look, (value, own) in zip(LOOKS, groups.items(), strict=False):
            shares = [100 * cell.values[SHARE] for cell in own]
            written = f"{value:,}" if isinstance(value, int) else value
            line(axes, shares, own, measure, names.SBP, look, written)
            baseline = own[0].over(measure, names.REPETITION)
            if baseline:
                axes.plot(0, baseline["estimate"], look.marker, color=look.color, mfc="none", ms=5)
            best = _best(own, measure)
            if best:
                at = 100 * best.values[SHARE], best.over(measure, names.SBP)["estimate"]
                axes.plot(*at, "o", ms=11, mfc="none", mec=look.color, mew=1.2)
        axes.set_xlabel("share of synthetic text in the budget (%)")
        axes.legend(title=name, loc="upper right")
    panels[0].set_ylabel(label)
    published = [row for row in read_published("mixture") if row["quantity"] == "synthetic share"]
    words = "; ".join(f"{row['value']} % at {scale(row)} ({row['certainty']})" for row in published)
    drawn.suptitle(f"shares that the paper chose: {words}", fontsize=7.5, color=style.MUTED, x=0.01, ha="left")
    return drawn


def caption(tables: Path) -> str | None:
    """The best share for each data size and each model size, and whether it moves as the paper says."""
    cells = _cells(tables)
    if not cells:
        return None
    measure, _ = loss_measure(cells)
    sentences = []
    for groups, what in ((_by_real(cells), "documents"), (_by_size(cells), "")):
        best = {value: found.values[SHARE] for value, own in groups.items() if (found := _best(own, measure))}
        if not best:
            continue
        parts = [f"{percent(s)} at {f'{v:,}' if isinstance(v, int) else v} {what}".rstrip() for v, s in best.items()]
        sentences.append(f"The best share tried is {joined(parts)}.")
    hollow = "Hollow at 0: repetition; rings: the best share tried."
    return " ".join(
        [*sentences, hollow, rests_on(cells, measure, [names.SBP], dots=True), statements("mixture-sweeps")]
    )


def _cells(tables: Path) -> list[Cell]:
    return [cell for cell in read_table(tables, EXPERIMENT) if SHARE in cell.values]


def _by_real(cells: list[Cell]) -> dict[int, list[Cell]]:
    """Number of real documents -> cells by share, of the model size that most cells have."""
    sizes = [cell.values[SIZE] for cell in cells]
    usual = max(sizes, key=sizes.count)
    return _grouped([cell for cell in cells if cell.values[SIZE] == usual], REAL)


def _by_size(cells: list[Cell]) -> dict[str, list[Cell]]:
    """Model size -> cells by share, at the number of real documents that several sizes have."""
    of_real = {
        real: {c.values[SIZE] for c in cells if c.values[REAL] == real} for real in {c.values[REAL] for c in cells}
    }
    most = max(of_real, key=lambda real: (len(of_real[real]), -real))
    return _grouped([cell for cell in cells if cell.values[REAL] == most], SIZE)


def _grouped(cells: list[Cell], key: str) -> dict:
    groups: dict = {}
    for cell in cells:
        groups.setdefault(cell.values[key], []).append(cell)
    return {value: sorted(own, key=lambda cell: cell.values[SHARE]) for value, own in groups.items()}


def _best(cells: list[Cell], measure: str) -> Cell | None:
    """The cell of least SBP loss, the mean over seeds."""
    found = [cell for cell in cells if cell.over(measure, names.SBP)]
    return min(found, key=lambda cell: cell.over(measure, names.SBP)["estimate"]) if found else None
