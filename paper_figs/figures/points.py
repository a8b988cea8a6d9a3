"""Estimates over seeds with their intervals, drawn the same in every figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paper_figs import names, style
from paper_figs.figures.result_tables import Cell
from paper_figs.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RECOVERED = names.at_checkpoint(names.RECOVERED, names.FINAL)
GAIN = names.at_checkpoint(names.GAIN, names.FINAL)


def loss_measure(cells: Sequence[Cell], checkpoint: str = names.FINAL) -> tuple[str, str]:
    """The measure of loss that the cells have, and its axis label: above exact Bayes where that is known."""
    excess = names.at_checkpoint(names.EXCESS_LOSS, checkpoint)
    if any(cell.results.of(excess) for cell in cells):
        return excess, "held-out loss above\nexact Bayes (nats/token)"
    return names.at_checkpoint(names.HELDOUT_LOSS, checkpoint), "held-out loss (nats/token)"


def line(
    axes: "Axes",
    at: Sequence[float],
    cells: Sequence[Cell],
    measure: str,
    subject: str,
    look: style.Look,
    label: str | None = None,
    scale: float = 1.0,
) -> None:
    """Means over seeds joined by a line, their intervals as bars, single seeds as dots; cells without are left out."""
    means = []
    for x, cell in zip(at, cells, strict=True):
        row = cell.over(measure, subject)
        if row is None:
            continue
        means.append((x, scale * row["estimate"]))
        whisker(axes, x, row, scale, color=look.color, lw=1, alpha=0.8)
        for single in cell.results.by_seed(measure, subject).values():
            axes.plot(x, scale * single["estimate"], ".", color=look.color, ms=2.5, alpha=0.5)
    if means:
        name = names.arm_label(subject) if label is None else label
        axes.plot(*zip(*means, strict=True), color=look.color, ls=look.dash, marker=look.marker, ms=4.5, label=name)


def whisker(axes: "Axes", x: float, row: dict, scale: float = 1.0, **drawn_as: Any) -> None:
    """The interval of a row as an upright line at ``x``; nothing where it has none."""
    if row["low"] is not None and row["high"] is not None:
        axes.plot([x, x], [scale * row["low"], scale * row["high"]], **drawn_as)


def rests_on(cells: Sequence[Cell], measure: str, subjects: Sequence[str], dots: bool = False) -> str:
    """``Mean of 3 seeds, 95 % bootstrap intervals (dots: single seeds); 4,096 held-out documents a seed.``

    dots: whether the figure shows single seeds.
    """
    seeds = max((row["n"] for cell in cells for s in subjects if (row := cell.over(measure, s))), default=0)
    heldout = sorted({cell.values["corpus.heldout"] for cell in cells if "corpus.heldout" in cell.values})
    documents = ""
    if heldout:
        low, high = heldout[0], heldout[-1]
        documents = f"; {low:,} to {high:,} held-out documents a seed" if low < high else ""
        documents = documents or f"; {count(low, 'held-out document')} a seed"
    shown = " (dots: single seeds)" if dots else ""
    spread = f", 95 % bootstrap intervals{shown}" if seeds > 1 else ", which has no interval"
    return f"Mean of {count(seeds, 'seed')}{spread}{documents}."
