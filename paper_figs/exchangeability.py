"""Log-probability of a pair of documents in either order (P3)."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.chosen_cells import shown, sources
from paper_figs.wording import count, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "exchangeability"


@style.styled
def draw(run: Path) -> "Figure | None":
    """A scatter a world, a dot a pair; exact Bayes lies on the diagonal; None without such numbers."""
    found = shown(run, NAME)
    if not found:
        return None
    drawn, axes = style.figure(2.6, columns=len(found), squeeze=False)
    look = style.look(names.SYNTHESIZER, [])
    for panel, one in zip(axes[0], found, strict=True):
        x, y = (np.array(one.first[order]) for order in ("this_order", "other_order"))
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        panel.plot(ends, ends, color=style.INK, lw=0.8)
        panel.plot(x, y, ".", color=look.color, ms=3, alpha=0.6, mew=0)
        panel.set(aspect="equal", xlabel="log q(d1) + log q(d2|d1) (nats)")
        panel.set_title(one.title, loc="left")
    axes[0][0].set_ylabel("log q(d2) + log q(d1|d2) (nats)")
    return drawn


def caption(run: Path) -> str | None:
    """The spread of the difference between the orders."""
    found = shown(run, NAME)
    if not found:
        return None
    spreads = ", ".join(f"{nats(_spread(one.pictures))} nats in {one.title}" for one in found)
    return (
        f"The two orders of a pair differ by {spreads} (root mean square). Exact Bayes lies on the line: documents of "
        f"a pair are exchangeable. {count(len(found[0].first['this_order']), 'pair')} a seed, first seed drawn. "
        f"{sources(found)}"
    )


def _spread(pictures: dict[int, dict]) -> float:
    deltas = np.concatenate([np.subtract(p["this_order"], p["other_order"]) for p in pictures.values()])
    return float(np.sqrt(np.square(deltas).mean()))
