"""A larger model against SBP at equal compute (a figure of the paper): loss against FLOPs from end to end."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.compute import end_to_end
from paper_figs.figures.points import loss_measure, rests_on
from paper_figs.figures.published import scale
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.run_files import read_published
from paper_figs.wording import nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "sweep-model-size"
SIZE = "model.size"
ARMS = (names.REPETITION, names.SBP, names.RANDOM_PAIRS, names.ORACLE)
Point = tuple[float, float, str, Cell]  # FLOPs, loss, arm, cell


@style.styled
def draw(tables: Path) -> "Figure | None":
    """Left ours, a mark an arm and size; right the paper's average accuracy by model size."""
    cells, points = _points(tables)
    if not points:
        return None
    drawn, (axes, published) = style.figure(3.0, 1, 2, gridspec_kw={"width_ratios": (3, 2)})
    for arm in ARMS:
        own = sorted(point for point in points if point[2] == arm)
        look = style.look(arm, [])
        axes.plot([p[0] for p in own], [p[1] for p in own], look.marker, color=look.color, label=names.arm_label(arm))
        for flops, loss, _, cell in own:
            words = f"{cell.values[SIZE]}, {cell.values['training.epochs']:g} ep."
            axes.annotate(words, (flops, loss), (4, 3), textcoords="offset points", fontsize=6)
    axes.set(xscale="log", xlabel="FLOPs from end to end", ylabel=loss_measure(cells)[1])
    axes.legend(loc="best", fontsize=7)
    _draw_published(published)
    return drawn


def _draw_published(axes) -> None:
    rows = [r for r in read_published("table1") if r["benchmark"] == "average QA" and r["scale"].startswith("1T")]
    for arm, change in ((names.REPETITION, None), (names.SBP, "sbp_change"), (names.ORACLE, "oracle_change")):
        look = style.look(arm, [])
        values = [float(row["repetition"]) + (float(row[change]) if change else 0.0) for row in rows]
        axes.plot(range(len(rows)), values, color=look.color, ls=look.dash, marker=look.marker, ms=5)
    axes.set_xticks(range(len(rows)), [f"{scale(row)} ({row['certainty']})" for row in rows])
    axes.set(xlim=(-0.4, len(rows) - 0.6), ylabel="average QA accuracy (%)")
    axes.set_title("published, 1T tokens each", loc="left", fontsize=8)


def caption(tables: Path) -> str | None:
    """The best that repetition of a larger model does for SBP's compute, beside SBP."""
    cells, points = _points(tables)
    if not points:
        return None
    measure, _ = loss_measure(cells)
    sentences = []
    sizes = list(dict.fromkeys(cell.values[SIZE] for cell in cells))
    for flops, loss, arm, cell in points:
        if arm != names.SBP:
            continue
        affordable = [
            p
            for p in points
            if p[2] == names.REPETITION
            and p[0] <= 1.1 * flops
            and sizes.index(p[3].values[SIZE]) > sizes.index(cell.values[SIZE])
        ]
        if affordable:
            _, best, _, other = min(affordable, key=lambda p: p[1])
            side = "better" if best < loss else "worse"
            sentences.append(
                f"For what SBP of {cell.values[SIZE]} costs from end to end, repetition of {other.values[SIZE]} for "
                f"{other.values['training.epochs']:g} epochs is {side}: {nats(best)} beside {nats(loss)} nats/token."
            )
    if not sentences:
        sentences = ["No larger model was trained for as much as SBP of a smaller one costs."]
    note = "Equal: at most a tenth above. Right, the paper's arms at equal training tokens, not at equal compute."
    return " ".join([*sentences, rests_on(cells, measure, ARMS), note])


def _points(tables: Path) -> tuple[list[Cell], list[Point]]:
    cells = read_table(tables, EXPERIMENT)
    if not cells:
        return [], []
    measure, _ = loss_measure(cells)
    points = []
    for cell in cells:
        flops = end_to_end(tables, EXPERIMENT, cell)
        found = ((arm, cell.over(measure, arm)) for arm in ARMS if arm in flops)
        points += [(flops[arm], row["estimate"], arm, cell) for arm, row in found if row]
    return cells, points
