"""Is the gain a function of the Bayes gap? Share of the oracle's gain against the synthesizer's gap, all of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.result_tables import Cell, read_table, seeds_of
from paper_figs.wording import count, interval, joined, nats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXPERIMENTS = ("sweep-synthesizer", "demo", "bayes")
SUBJECTS = {  # arm -> the synthesizer that wrote for it, where the run measured its gap
    names.EXACT: names.EXACT,
    names.SBP: names.SYNTHESIZER,
    names.RANDOM_PAIRS: names.RANDOM_PAIRS_SYNTHESIZER,
}
CHECKPOINTS = ((names.FINAL, "end of the budget"), (names.BEST, "best validation checkpoint"))
Point = tuple[dict, dict, str, Cell]  # gap over seeds, share over seeds, arm, cell


@style.styled
def draw(tables: Path) -> "Figure | None":
    """A panel a checkpoint, a mark a synthesizer and world; the gap in nats a document, logarithmic but near zero."""
    if not _points(tables, names.FINAL):
        return None
    drawn, panels = style.figure(3.1, 1, 2, sharey=True)
    for axes, (checkpoint, title) in zip(panels, CHECKPOINTS, strict=True):
        _draw_points(axes, _points(tables, checkpoint))
        axes.set_title(title, loc="left")
        axes.set_xlabel("Bayes gap (nats/document)")
    panels[0].set_ylabel("share of the oracle's gain (%)")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return drawn


def _draw_points(axes: "Axes", points: list[Point]) -> None:
    axes.set_xscale("symlog", linthresh=0.1)
    arms = list(dict.fromkeys(arm for _, _, arm, _ in points))
    for arm in arms:
        look = style.look(arm, arms)
        label: str | None = names.arm_label(arm)
        for gap, share, own, _ in points:
            if own != arm:
                continue
            x, y = gap["estimate"], 100 * share["estimate"]
            for row, across in ((share, False), (gap, True)):
                if row["low"] is None or row["high"] is None:
                    continue
                ends = [row["low"], row["high"]]
                bar = (ends, [y, y]) if across else ([x, x], [100 * end for end in ends])
                axes.plot(*bar, color=look.color, lw=0.9, alpha=0.6)
            axes.plot(x, y, look.marker, color=look.color, ms=5.5, label=label)
            label = None
    axes.axhline(0, color=style.MUTED, lw=0.8)
    axes.set_xlim(left=-0.02)


def caption(tables: Path) -> str | None:
    """The rank correlation of share and gap, and exact Bayes beside random pairs at the two ends."""
    points = _points(tables, names.BEST)
    if not points:
        return None
    rank = _rank_correlation([gap["estimate"] for gap, *_ in points], [share["estimate"] for _, share, *_ in points])
    ends = []
    for arm in (names.EXACT, names.RANDOM_PAIRS):
        found = [(gap, share, cell) for gap, share, own, cell in points if own == arm]
        if found:
            gap, share, cell = max(found, key=lambda item: item[1]["estimate"])
            ends.append(
                f"{names.arm_label(arm)} {interval(share)} at {nats(gap['estimate'])} nats ({cell.results.label})"
            )
    ordered = rank is not None and rank < -0.5
    verdict = "Less gap goes with more gain" if ordered else "The gap alone does not order gains"
    worlds = ", ".join(dict.fromkeys(cell.results.label for *_, cell in points))
    number = "" if rank is None else f" (rank correlation {nats(rank)} over {count(len(points), 'synthesizer')})"
    seeds = seeds_of([share for _, share, *_ in points])
    return (
        f"{verdict}{number}: at best {joined(ends)}. At the best validation checkpoint; bars are 95 % bootstrap "
        f"intervals over at most {count(seeds, 'seed')}. Worlds: {worlds}."
    )


def _points(tables: Path, checkpoint: str) -> list[Point]:
    """A world that an earlier table has is not counted again: its seeds are the same."""
    points: list[Point] = []
    for experiment in EXPERIMENTS:
        known = {cell.results.label for *_, cell in points}
        for cell in (cell for cell in read_table(tables, experiment) if cell.results.label not in known):
            for arm, subject in SUBJECTS.items():
                gap = cell.over(names.BAYES_GAP, subject)
                share = cell.over(names.at_checkpoint(names.RECOVERED, checkpoint), arm)
                if gap and share:
                    points.append((gap, share, arm, cell))
    return points


def _rank_correlation(x: list[float], y: list[float]) -> float | None:
    """Spearman's, ties by their mean rank; None for fewer than three points or a constant."""
    if len(x) < 3 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    a, b = _ranks(x), _ranks(y)
    mean = (len(x) - 1) / 2
    covariance = sum((i - mean) * (j - mean) for i, j in zip(a, b, strict=True))
    return covariance / (sum((i - mean) ** 2 for i in a) * sum((j - mean) ** 2 for j in b)) ** 0.5


def _ranks(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(v) + (ordered.count(v) - 1) / 2 for v in values]
