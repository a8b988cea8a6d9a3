"""One style for every figure: print size, colour-blind safe (Okabe and Ito 2008), and told apart in greyscale too.

Colour is never alone: every line also has its own dash pattern and marker.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1d1d1f"
GRID = "#d4d4d8"
MUTED = "#76767d"
WIDTH = 6.3  # inches: the text width of a page
BLACK, ORANGE, SKY, GREEN = INK, "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"


@dataclass(frozen=True)
class Look:
    """How one arm or synthesizer is drawn."""

    color: str
    dash: str | tuple
    marker: str


LOOKS = {
    names.REPETITION: Look(VERMILLION, (0, (5, 1.5)), "X"),
    names.SBP: Look(BLUE, "-", "o"),
    names.RANDOM_PAIRS: Look(ORANGE, (0, (4, 1.2, 1, 1.2)), "^"),
    names.EXACT: Look(GREEN, (0, (2, 1)), "s"),
    names.ORACLE: Look(PURPLE, (0, (1, 1)), "D"),
    names.SBP_MINUS_RANDOM_PAIRS: Look(INK, "-", "v"),
    names.SYNTHESIZER: Look(BLUE, "-", "o"),
    names.RANDOM_PAIRS_SYNTHESIZER: Look(ORANGE, (0, (4, 1.2, 1, 1.2)), "^"),
    names.PRIOR: Look(VERMILLION, (0, (5, 1.5)), "X"),
    names.MAP: Look(PURPLE, (0, (1, 1)), "D"),
}
OTHERS = (
    Look(SKY, (0, (3, 1)), "v"),
    Look(GREEN, (0, (3, 1, 1, 1)), "<"),
    Look(INK, (0, (1, 2)), "P"),
    Look(MUTED, "-", "*"),
    Look(SKY, "-", ">"),
    Look(GREEN, (0, (5, 1.5)), "d"),
    Look(ORANGE, (0, (1, 1)), "p"),
    Look(PURPLE, (0, (3, 1)), "h"),
    Look(MUTED, (0, (2, 1)), "8"),
    Look(BLUE, (0, (1, 2)), "4"),
)


def look(subject: str, others: list[str]) -> Look:
    """The look of a subject; those without one of their own take turns, in the order of ``others``."""
    if subject in LOOKS:
        return LOOKS[subject]
    unnamed = [other for other in others if other not in LOOKS]
    return OTHERS[unnamed.index(subject) % len(OTHERS)]


RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
}


def styled(draw: Callable) -> Callable:
    """A drawing function whose figure gets the common style; the process's own settings stay as they were."""

    @functools.wraps(draw)
    def drawn_in_style(*arguments):
        from matplotlib import rc_context

        with rc_context(RC):
            return draw(*arguments)

    return drawn_in_style


def figure(height: float, rows: int = 1, columns: int = 1, **subplots) -> "tuple[Figure, Axes | list]":
    """A figure of page width, ``height`` inches, and its axes; call it in a `styled` function."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(WIDTH, height))
    return drawn, drawn.subplots(rows, columns, **subplots)


def save(drawn: "Figure", folder: Path, name: str) -> str:
    """Write ``name.svg`` and ``name.png`` and return the SVG's text. The same figure gives the same bytes."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    svg = folder / f"{name}.svg"
    with rc_context({**RC, "svg.hashsalt": name}):
        drawn.savefig(svg, metadata={"Date": None}, transparent=True)
        drawn.savefig(folder / f"{name}.png", dpi=200, facecolor="white", metadata={"Software": None})
    return svg.read_text(encoding="utf-8")


def label_ends(axes: "Axes", ends: list[tuple[float, float, str, str]], gap: float = 0.06) -> None:
    """Write each line's name to the right of its end: (x, y, text, colour), moved apart where names would touch.

    The axes' limits are fixed by it. gap: least distance as a share of the axes' height.
    """
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    to_axes = axes.transData + axes.transAxes.inverted()
    found = sorted(((to_axes.transform((x, y)), text, color) for x, y, text, color in ends), key=lambda end: end[0][1])
    heights = spread([min(1.0, max(0.0, at[1])) for at, _, _ in found], gap)
    for (at, text, color), height in zip(found, heights, strict=True):
        start = min(1.0, max(0.0, at[1]))
        leader = ([at[0], 1.03], [start, height])
        axes.plot(*leader, color=color, lw=0.6, transform=axes.transAxes, clip_on=False, zorder=1)
        axes.text(1.04, height, text, color=color, va="center", fontsize=8, transform=axes.transAxes)


def spread(heights: list[float], gap: float) -> list[float]:
    """Ascending heights in 0..1 moved as little as possible (least squares) until neighbours are ``gap`` apart."""
    blocks: list[list[float]] = []  # of heights less what the gaps below take; neighbours that collide are pooled
    for i, height in enumerate(heights):
        blocks.append([height - i * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    levels = [_mean(block) for block in blocks for _ in block]
    room = max(0.0, 1 - gap * (len(levels) - 1))
    return [min(max(level, 0.0), room) + i * gap for i, level in enumerate(levels)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
