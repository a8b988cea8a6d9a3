"""Is the belief that synthetic documents imply calibrated: ranks and coverage against their uniform law (P16)."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.chosen_cells import shown, sources
from paper_figs.wording import count, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "calibration"
QUANTITIES = {"likelihood": "rank of the log-likelihood", "coverage": "most probable concepts"}


@style.styled
def draw(run: Path) -> "Figure | None":
    """Share below each level less the level, a row a world: synthesizer and exact draws; None without such numbers."""
    found = shown(run, NAME)
    if not found:
        return None
    drawn, grid = style.figure(0.5 + 1.7 * len(found), len(found), 2, sharex=True, sharey=True, squeeze=False)
    for row, one in zip(grid, found, strict=True):
        for axes, (quantity, title) in zip(row, QUANTITIES.items(), strict=True):
            levels = np.array(one.first["levels"])
            width = 1.96 * one.mean(f"{quantity}_exact_se")
            axes.fill_between(levels, -width, width, color=style.GRID, alpha=0.6, lw=0, label="95 % of exact Bayes")
            axes.axhline(0, color=style.MUTED, lw=0.8)
            for subject, suffix in ((names.EXACT, "_exact"), (names.SYNTHESIZER, "")):
                look = style.look(subject, [])
                for i, picture in enumerate(one.pictures.values()):
                    label = names.synthesizer_label(subject) if i == 0 else None
                    above = np.array(picture[f"{quantity}{suffix}"]) - levels
                    axes.plot(levels, above, color=look.color, ls=look.dash, lw=1.2, label=label, marker=look.marker,
                              ms=3, markevery=(3 * i % 4, 4))  # fmt: skip
            axes.set_title(f"{one.title}: {title}", loc="left", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("level")
    for axes in grid[:, 0]:
        axes.set_ylabel("share below,\nless level")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=3)
    return drawn


def caption(run: Path) -> str | None:
    """The largest departure from uniform ranks, beside that of exact draws."""
    found = shown(run, NAME)
    if not found:
        return None
    ours, exact = (
        max(_departure(p, suffix) for one in found for p in one.pictures.values()) for suffix in ("", "_exact")
    )
    return (
        f"Shares below a level differ from it by {nats(ours)} at most, where exact draws differ by {nats(exact)}. "
        "A concept drawn from the belief after reading a synthetic document is ranked among those of the belief before "
        "it; all ranks are equally frequent for exact Bayes. Left by the likelihood of d1, right by probability: the "
        f"share of cases in the most probable concepts that hold that much. {count(found[0].first['n'], 'document')} a "
        f"seed; a line a seed. {sources(found)}"
    )


def _departure(picture: dict, suffix: str) -> float:
    levels = np.array(picture["levels"])
    return max(float(np.abs(np.array(picture[f"{quantity}{suffix}"]) - levels).max()) for quantity in QUANTITIES)
