"""The Bayes gap against the number of pairs, with its power law and floor."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.run_files import Results, read_results
from paper_figs.wording import about, count, interval, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS = ((1e-2, "bar of the study"), (1e-3, "bar of the field"))  # bits/token
COLUMNS = 3
NO_FIT = "not fitted, which takes a seed with gaps above 0 at three numbers of pairs and all others"
LOOKS = tuple(style.look(name, []) for name in (names.SYNTHESIZER, names.RANDOM_PAIRS_SYNTHESIZER, names.EXACT))


@style.styled
def draw(run: Path) -> "Figure | None":
    """A panel a world, both axes logarithmic: a dot a seed, the fit, where there is one, as a line; None without
    learning curves."""
    results = read_results(run)
    worlds = _worlds(results)
    if not worlds:
        return None
    columns = min(COLUMNS, len(worlds))
    rows = -(-len(worlds) // columns)
    drawn, grid = style.figure(0.6 + 1.95 * rows, rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(worlds) :]:
        axes.set_visible(False)
    subjects = results.subjects(names.LEARNING_CURVE)
    for axes, world in zip(grid.flat, worlds, strict=False):
        for i, subject in enumerate(subjects):
            points = [row for row in results.of(names.LEARNING_CURVE, subject) if row["world"] == world]
            if points:
                look = LOOKS[i % len(LOOKS)]
                at = np.array([row["at"] for row in points])
                axes.plot(at, [row["estimate"] for row in points], look.marker, color=look.color, ms=3.5, mfc="none")
                x = np.geomspace(at.min(), at.max(), 100)
                if _of_curve(results, names.LEARNING_CURVE_EXPONENT, world, subject):
                    axes.plot(x, _fitted(results, world, subject, x), color=look.color, ls=look.dash)
                axes.plot([], [], color=look.color, ls=look.dash, marker=look.marker, mfc="none", label=subject)
        for height, _ in BARS:
            axes.axhline(height, color=style.MUTED, lw=0.8, ls=(0, (1, 2)))
        axes.set(xscale="log", yscale="log")
        axes.set_title(world, loc="left")
    ticks = _apart(sorted({row["at"] for row in results.of(names.LEARNING_CURVE)}))
    grid[0, 0].set_xticks(ticks, [about(tick) for tick in ticks])
    grid[0, 0].minorticks_off()
    for height, text in BARS:
        grid[0, 0].annotate(
            text, (1, height), xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points",
            ha="right", fontsize=6.5, color=style.MUTED,
        )  # fmt: skip
    drawn.supxlabel("pairs (d1, d2) to learn from", fontsize=8.5)
    drawn.supylabel("Bayes gap (bits/token)", fontsize=8.5)
    handles, labels = max((axes.get_legend_handles_labels() for axes in grid.flat), key=lambda found: len(found[1]))
    drawn.legend(handles, labels, loc="outside upper left", ncols=len(labels))
    return drawn


def caption(run: Path) -> str | None:
    """Exponent and floor of every curve, over several seeds with intervals, and whether a floor of 0 is ruled out."""
    results = read_results(run)
    worlds = _worlds(results)
    if not worlds:
        return None
    found, raised, bounded = [], [], False
    for world, subject in dict.fromkeys((row["world"], row["subject"]) for row in results.of(names.LEARNING_CURVE)):
        label = f"{world}, {subject.removeprefix(names.SYNTHESIZER).strip() or 'synthesizer'}"
        exponent = _of_curve(results, names.LEARNING_CURVE_EXPONENT, world, subject)
        floor = _of_curve(results, names.LEARNING_CURVE_FLOOR, world, subject)
        if exponent is None or floor is None:
            found.append(f"{label}: {NO_FIT}")
            continue
        bounded |= floor["low"] is not None
        if floor["low"] is not None and floor["low"] > 0:
            raised.append(f"{subject} in {world}")
        found.append(f"{label}: exponent {interval(exponent, nats)}, floor {interval(floor, nats)}")
    if raised:
        finding = f"The gap does not fall to 0 for {', '.join(raised)}."
    elif bounded:
        finding = "No curve's floor is told from 0: the gap may fall to nothing with enough pairs."
    else:
        finding = "How sure exponents and floors are takes more than one seed to say."
    brackets = "; 95 % intervals in brackets are of a bootstrap over seeds" if bounded else ""
    return (
        f"{finding} Gap = floor + scale * pairs ** -exponent, in bits a token{brackets}. {'; '.join(found)}. "
        f"{count(len(results.seeds), 'seed')} (dots), {count(_documents(results), 'document')} each."
    )


def _worlds(results: Results) -> list[str]:
    return list(dict.fromkeys(row["world"] for row in results.of(names.LEARNING_CURVE)))


def _of_curve(results: Results, measure: str, world: str, subject: str) -> dict | None:
    """The row of a curve's fit; None where it has none."""
    return next((row for row in results.of(measure, subject) if row["world"] == world), None)


def _apart(ticks: list[float]) -> list[float]:
    """The ascending ``ticks`` without those less than a tenth above the one before: worlds keep about as many pairs."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick > 1.1 * kept[-1]:
            kept.append(tick)
    return kept


def _fitted(results: Results, world: str, subject: str, pairs: np.ndarray) -> np.ndarray:
    measures = (names.LEARNING_CURVE_FLOOR, names.LEARNING_CURVE_SCALE, names.LEARNING_CURVE_EXPONENT)
    floor, scale, exponent = (_of_curve(results, m, world, subject)["estimate"] for m in measures)
    return floor + scale * pairs**-exponent


def _documents(results: Results) -> int:
    return max(row["n"] for row in results.of(names.BAYES_GAP_PER_TOKEN) if row["seed"] is not None)
