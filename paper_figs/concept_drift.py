"""What chains of synthetic documents keep of the concept they began with, round by round (P14)."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.chosen_cells import shown, sources
from paper_figs.wording import count, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "drift"


@style.styled
def draw(run: Path) -> "Figure | None":
    """Share of the slowest contrast left after each round, a panel a world; None without such numbers."""
    found = shown(run, NAME)
    if not found:
        return None
    drawn, axes = style.figure(2.4, columns=len(found), sharey=True, squeeze=False)
    for panel, one in zip(axes[0], found, strict=True):
        rounds = np.arange(len(one.first["left"]))
        panel.axhline(0, color=style.MUTED, lw=0.8)
        for picture in one.pictures.values():
            panel.plot(rounds, picture["left"], color=style.look(names.SYNTHESIZER, []).color, lw=0.6, alpha=0.5)
        for subject, key in ((names.EXACT, "exact"), (names.SYNTHESIZER, "left")):
            look = style.look(subject, [])
            panel.plot(rounds, one.mean(key), color=look.color, ls=look.dash, marker=look.marker, ms=4,
                       label=names.synthesizer_label(subject))  # fmt: skip
        panel.set_xlabel("rounds of writing")
        panel.set_title(one.title, loc="left")
    axes[0][0].set_ylabel("concept left")
    handles, labels = axes[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=2)
    return drawn


def caption(run: Path) -> str | None:
    """What is left after the last round, beside exact Bayes."""
    found = shown(run, NAME)
    if not found:
        return None
    rounds = len(found[0].first["left"]) - 1
    ends = [(one, *(percent(float(one.mean(key)[-1])) for key in ("left", "exact"))) for one in found]
    parts = [f"{left} in {one.title} (exact Bayes {exact})" for one, left, exact in ends]
    return (
        f"After {rounds} rounds, each document written given the last alone, what is left of the concept is "
        f"{', '.join(parts)}. Of the contrast between concepts that exact Bayes keeps longest; its chain keeps the "
        "second eigenvalue of the concept kernel each round. Faster decay would be collapse, slower a copy. "
        f"{count(found[0].first['n'], 'chain')} a seed; thin lines: each. {sources(found)}"
    )
