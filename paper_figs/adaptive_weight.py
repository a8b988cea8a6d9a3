"""The weight that d1 keeps along d2, when some of the pairs learnt from were wrong (P7)."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.chosen_cells import shown, sources
from paper_figs.wording import count, nats, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "adaptive-weight"
DOCUMENTS = {"related": "d2 related to d1", "unrelated": "d2 of another concept"}


@style.styled
def draw(run: Path) -> "Figure | None":
    """Weight after so many words, related and unrelated d2: synthesizer, exact Bayes, a fixed mixture; None without."""
    found = shown(run, NAME)
    if not found:
        return None
    drawn, grid = style.figure(0.5 + 2.0 * len(found), len(found), 2, sharex=True, sharey=True, squeeze=False)
    ours, exact, fixed = (style.look(name, []) for name in (names.SYNTHESIZER, names.EXACT, names.PRIOR))
    for row, one in zip(grid, found, strict=True):
        for axes, (kind, title) in zip(row, DOCUMENTS.items(), strict=True):
            at = np.arange(len(one.first[kind]))
            every = max(1, len(at) // 8)
            for picture in one.pictures.values():
                axes.plot(at, picture[kind], color=ours.color, lw=0.6, alpha=0.5)
            axes.axhline(1 - one.first["wrong"], color=fixed.color, ls=fixed.dash, lw=1.2, label="fixed mixture")
            for suffix, look, label in (("_exact", exact, "exact Bayes"), ("", ours, "synthesizer")):
                axes.plot(at, one.mean(kind + suffix), color=look.color, ls=look.dash, marker=look.marker, ms=4,
                          markevery=every, label=label)  # fmt: skip
            axes.set_title(f"{one.title}: {title}", loc="left", fontsize=8)
            axes.set_ylim(-0.08, 1.08)
    for axes in grid[-1]:
        axes.set_xlabel("tokens of d2 read")
    for axes in grid[:, 0]:
        axes.set_ylabel("weight of d1")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=3)
    return drawn


def caption(run: Path) -> str | None:
    """How far the weight is from that of exact Bayes, beside the fixed mixture's distance."""
    found = shown(run, NAME)
    if not found:
        return None
    one = found[0]
    away = [_away(one.mean(kind), one.mean(f"{kind}_exact")) for kind in DOCUMENTS]
    fixed = [
        _away(np.full(len(one.first[kind]), 1 - one.first["wrong"]), one.mean(f"{kind}_exact")) for kind in DOCUMENTS
    ]
    return (
        f"The weight of d1 differs from that of exact Bayes by {nats(sum(away) / 2)} on average, a fixed "
        f"mixture's by {nats(sum(fixed) / 2)}. {percent(one.first['wrong'])} of the pairs learnt from were wrong. The "
        "weight is that in q = w p(.|d1, d2 so far) + (1 - w) p(.|d2 so far), by least squares over documents; thin "
        f"lines: each seed. {count(one.first['n'], 'document')} a seed. {sources(found)}"
    )


def _away(weights: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(weights - exact).mean())
