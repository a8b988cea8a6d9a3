"""Share of the oracle's gain that arms recover, against one key of the experiment: most sweeps are drawn so."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paper_figs import names, style
from paper_figs.figures.points import RECOVERED, line, rests_on
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.wording import interval, joined, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Dial:
    """experiment: whose table it reads; key: the dotted key on the horizontal axis; label: what it is, in words;
    panels: a second key, a panel for each of its values; log: a logarithmic axis."""

    experiment: str
    key: str
    label: str
    panels: str | None = None
    log: bool = False

    def draw(self, tables: Path) -> "Figure | None":
        """A line an arm, a panel a value of the second key; None without a table."""
        return _draw(self, self._panels(tables))

    def caption(self, tables: Path) -> str | None:
        """Where SBP recovers most and least, and what random pairs recover there."""
        panels = self._panels(tables)
        if not panels:
            return None
        sentences = []
        for value, cells in panels.items():
            shares = [(cell, row) for cell in cells if (row := cell.over(RECOVERED, _leader(cells)))]
            if not shares:
                continue
            best, worst = (chosen(shares, key=lambda pair: pair[1]["estimate"]) for chosen in (max, min))
            where = "" if value is None else f" ({_short(self.panels)} {_words(value)})"
            sentences.append(
                f"{names.arm_label(_leader(cells))} recovers most of the oracle's gain at {self.label} "
                f"{_words(best[0].values[self.key])}{where}: {interval(best[1])}{self._random(best[0])}; least at "
                f"{_words(worst[0].values[self.key])}: {interval(worst[1])}{self._random(worst[0])}."
            )
        if not sentences:
            return "No share is defined: the oracle's gain is not clearly above 0."
        everything = [cell for cells in panels.values() for cell in cells]
        return " ".join([*sentences, rests_on(everything, RECOVERED, _arms(everything), dots=True)])

    def _random(self, cell: Cell) -> str:
        row = cell.over(RECOVERED, names.RANDOM_PAIRS)
        return f" (random pairs {interval(row)})" if row else ""

    def _panels(self, tables: Path) -> dict[Any, list[Cell]]:
        """Value of the second key -> cells by the first, ascending where they are numbers."""
        cells = [cell for cell in read_table(tables, self.experiment) if self.key in cell.values]
        panels: dict[Any, list[Cell]] = {}
        for cell in cells:
            panels.setdefault(cell.values.get(self.panels) if self.panels else None, []).append(cell)
        if all(isinstance(cell.values[self.key], int | float) for cell in cells):
            for own in panels.values():
                own.sort(key=lambda cell: cell.values[self.key])
        return panels


@style.styled
def _draw(dial: Dial, panels: dict[Any, list[Cell]]) -> "Figure | None":
    if not panels:
        return None
    drawn, grid = style.figure(2.9, 1, len(panels), sharey=True, squeeze=False)
    everything = [cell for cells in panels.values() for cell in cells]
    arms = _arms(everything)
    for axes, (value, cells) in zip(grid[0], panels.items(), strict=True):
        at = [cell.values[dial.key] for cell in cells]
        numbers = all(isinstance(x, int | float) for x in at)
        places = at if numbers else list(range(len(at)))
        for arm in arms:
            line(axes, places, cells, RECOVERED, arm, style.look(arm, arms), scale=100)
        axes.axhline(0, color=style.MUTED, lw=0.8)
        axes.axhline(100, color=style.MUTED, lw=0.8, ls=(0, (1, 1)))
        if dial.log:
            axes.set_xscale("log")
            axes.minorticks_off()
        axes.set_xticks(places, [_words(x) for x in at])
        if not numbers:
            axes.set_xlim(-0.4, len(at) - 0.6)
        axes.set_xlabel(dial.label)
        if value is not None:
            axes.set_title(f"{_short(dial.panels)} {_words(value)}", loc="left")
    grid[0][0].set_ylabel("share of the oracle's gain (%)")
    handles, labels = grid[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=5)
    return drawn


def _arms(cells: list[Cell]) -> list[str]:
    """Arms with a share in any cell; the difference of two arms is none."""
    found = dict.fromkeys(arm for cell in cells for arm in cell.results.subjects(RECOVERED))
    return [arm for arm in found if arm != names.SBP_MINUS_RANDOM_PAIRS]


def _leader(cells: list[Cell]) -> str:
    """The arm that the sweep turns: ``several`` where it is trained, else SBP."""
    return "several" if "several" in _arms(cells) else names.SBP


def _short(key: str | None) -> str:
    return (key or "").rpartition(".")[2].replace("_", " ")


def _words(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else nats(value)
    return joined([str(v) for v in value]) if isinstance(value, list) else str(value)
