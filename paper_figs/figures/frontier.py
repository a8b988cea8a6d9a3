"""The frontier: held-out loss of all arms against their floating-point operations from end to end."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.compute import end_to_end
from paper_figs.figures.points import loss_measure, rests_on, whisker
from paper_figs.figures.result_tables import Cell, first_table
from paper_figs.wording import joined, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENTS = ("arms", "demo")
NOT_TO_BE_HAD = (names.ORACLE, names.EXACT)  # outside a world, or without more data
Point = tuple[float, float, str]  # FLOPs, loss, arm


@style.styled
def draw(tables: Path) -> "Figure | None":
    """A panel a checkpoint; the frontier is a step line through the arms that nothing cheaper beats."""
    found = _found(tables)
    if found is None:
        return None
    cell, flops = found
    drawn, panels = style.figure(3.3, 1, 2, sharey=True)
    arms = list(flops)
    for axes, (checkpoint, title) in zip(
        panels, ((names.FINAL, "end of the budget"), (names.BEST, "best validation checkpoint")), strict=True
    ):
        points = _points(cell, flops, checkpoint)
        for x, y, arm in points:
            look = style.look(arm, arms)
            row = cell.over(loss_measure([cell], checkpoint)[0], arm)
            whisker(axes, x, row, color=look.color, lw=1)
            axes.plot(x, y, look.marker, color=look.color, ms=6)
        steps = frontier(points)
        axes.step([p[0] for p in steps], [p[1] for p in steps], where="post", color=style.MUTED, lw=0.9, zorder=1)
        axes.set_xscale("log")
        axes.set_xlabel("FLOPs from end to end")
        axes.set_title(title, loc="left")
    panels[0].set_ylabel(loss_measure([cell])[1])
    for arm in arms:
        look = style.look(arm, arms)
        panels[0].plot([], [], look.marker, color=look.color, label=names.arm_label(arm))
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize=7)
    return drawn


def caption(tables: Path) -> str | None:
    """The arms on the frontier, and what SBP costs beside repetition."""
    found = _found(tables)
    if found is None:
        return None
    cell, flops = found
    ends = _points(cell, flops, names.FINAL)
    on = [names.arm_label(arm) for _, _, arm in frontier([p for p in ends if p[2] not in NOT_TO_BE_HAD])]
    times = ""
    if {names.SBP, names.REPETITION} <= flops.keys():
        times = f" SBP costs {nats(flops[names.SBP] / flops[names.REPETITION])} times repetition."
    measure, _ = loss_measure([cell])
    return (
        f"At the end of the budget nothing cheaper beats {joined(on)}, oracle and exact Bayes aside.{times} Operations "
        "are counted from the models' shapes and include base model, tuning, sampling and embedding; draws of exact "
        f"Bayes cost nothing here. {cell.results.label}. {rests_on([cell], measure, list(flops))}"
    )


def frontier(points: list[Point]) -> list[Point]:
    """The points that no other of at most their cost has less loss than, from cheap to dear."""
    kept: list[Point] = []
    for point in sorted(points):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept


def _found(tables: Path) -> tuple[Cell, dict[str, float]] | None:
    """The first table, with arm -> FLOPs; None without a table of more than one arm's compute."""
    table = first_table(tables, EXPERIMENTS)
    if table is None:
        return None
    experiment, cells = table
    flops = end_to_end(tables, experiment, cells[0])
    return (cells[0], flops) if len(flops) > 1 else None


def _points(cell: Cell, flops: dict[str, float], checkpoint: str) -> list[Point]:
    measure, _ = loss_measure([cell], checkpoint)
    return [(cost, row["estimate"], arm) for arm, cost in flops.items() if (row := cell.over(measure, arm))]
