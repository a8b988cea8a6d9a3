"""Repetition of less and less data at one budget: is the oracle of two epochs one (the paper's two-epoch check)?"""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.points import line, loss_measure, rests_on
from paper_figs.figures.published import statements
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.run_files import read_published
from paper_figs.wording import interval, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "sweep-epochs"
EPOCHS = "training.epochs"
ARMS = (names.REPETITION, names.SBP, names.RANDOM_PAIRS, names.ORACLE)


@style.styled
def draw(tables: Path) -> "Figure | None":
    """Loss against the epochs that fill one budget, an arm a line; the oracle reads everything once."""
    cells = _cells(tables)
    if not cells:
        return None
    drawn, axes = style.figure(3.0)
    measure, label = loss_measure(cells)
    epochs = [cell.values[EPOCHS] for cell in cells]
    for arm in ARMS:
        line(axes, epochs, cells, measure, arm, style.look(arm, []))
    (about,) = (row for row in read_published("two_epochs") if row["quantity"] == "epochs of the oracle")
    axes.axvline(float(about["value"]), color=style.MUTED, lw=0.8, ls=(0, (1, 1)))
    axes.annotate(
        f"the paper's oracle at 1T ({about['certainty']})", (float(about["value"]), 1), (0, 2),
        xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=7.5, color=style.MUTED,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(epochs, [f"{e:g}" for e in epochs])
    axes.minorticks_off()
    axes.set(xlabel="epochs of D that fill the budget (fewer epochs: a larger D)", ylabel=label)
    axes.legend(loc="best")
    return drawn


def caption(tables: Path) -> str | None:
    """What the fewest and the most epochs cost beside fresh documents."""
    cells = _cells(tables)
    if not cells:
        return None
    measure, _ = loss_measure(cells)
    found = [(c, c.over(measure, names.REPETITION), c.over(measure, names.ORACLE)) for c in cells]
    costs = [(c, r["estimate"] - o["estimate"], r, o) for c, r, o in found if r and o]
    if not costs:
        return None
    few, many = costs[0], costs[-1]
    return (
        f"{few[0].values[EPOCHS]:g} epochs cost {nats(few[1])} nats/token more than fresh documents "
        f"({interval(few[2], nats)} beside {interval(few[3], nats)}), {many[0].values[EPOCHS]:g} epochs "
        f"{nats(many[1])}. {rests_on(cells, measure, ARMS, dots=True)} {statements('two-epoch-check')}"
    )


def _cells(tables: Path) -> list[Cell]:
    cells = [cell for cell in read_table(tables, EXPERIMENT) if EPOCHS in cell.values]
    return sorted(cells, key=lambda cell: cell.values[EPOCHS])
