"""The posterior of the concept on a face of the simplex: exact, and as a linear probe reads it in the network (P10)."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import style
from paper_figs.chosen_cells import shown, sources
from paper_figs.wording import count, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "belief"
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])
# Light, middle and dark besides three colours and three marks: told apart in greyscale.
CONCEPT_LOOKS = ((style.SKY, "o"), (style.VERMILLION, "^"), (style.INK, "s"))


@style.styled
def draw(run: Path) -> "Figure | None":
    """Two triangles a world, exact and probed, each document marked by its most probable concept; None without."""
    found = [one for one in shown(run, NAME) if one.first["exact"]]
    if not found:
        return None
    drawn, grid = style.figure(0.4 + 2.5 * len(found), len(found), 2, squeeze=False)
    for row, one in zip(grid, found, strict=True):
        exact, probed = np.array(one.first["exact"]), np.array(one.first["probed"])
        best = exact.argmax(1)
        for axes, points, title in zip(row, (exact, probed), ("exact posterior", "read off the network"), strict=True):
            axes.plot(*CORNERS[[0, 1, 2, 0]].T, color=style.MUTED, lw=0.8)
            for k, (color, marker) in enumerate(CONCEPT_LOOKS):
                at = points[best == k] @ CORNERS
                axes.plot(*at.T, marker, color=color, ms=3, mew=0, alpha=0.6)
                away = 0.07 * (CORNERS[k] - CORNERS.mean(0)) / np.linalg.norm(CORNERS[k] - CORNERS.mean(0))
                axes.text(*(CORNERS[k] + away), str(one.first["concepts"][k]), ha="center", va="center", fontsize=7)
            axes.set(aspect="equal", xlim=(-0.15, 1.15), ylim=(-0.15, 1.02))
            axes.axis("off")
            axes.set_title(f"{one.title}: {title}", loc="left", fontsize=8)
    return drawn


def caption(run: Path) -> str | None:
    """The share of variance that the probe explains."""
    found = [one for one in shown(run, NAME) if one.first["exact"]]
    if not found:
        return None
    explained = ", ".join(f"{percent(one.first['r2'])} in {one.title}" for one in found)
    return (
        f"A linear probe of the network at the separator explains {explained} of the exact posterior's variance. Each "
        "point is a document on the face of the three concepts confused most (numbers at the corners, marks by the "
        "most probable); the probe was fitted to other documents, at its best layer. Decodability alone is cheap: P10 "
        f"sets it against a random network, word counts and what d2 is written from. "
        f"{count(max(one.first['n'] for one in found), 'document')}, those with most of their mass there shown. "
        f"{sources(found)} First seed drawn."
    )
