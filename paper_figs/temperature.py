"""How far sampling at a temperature bends the prior over concepts (P15)."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.chosen_cells import shown, sources
from paper_figs.wording import count, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "temperature"


@style.styled
def draw(run: Path) -> "Figure | None":
    """Divergence against temperature, a panel a world: synthesizer and exact Bayes; None without such numbers."""
    found = shown(run, NAME)
    if not found:
        return None
    drawn, axes = style.figure(2.5, columns=len(found), sharey=True, squeeze=False)
    for panel, one in zip(axes[0], found, strict=True):
        panel.axhline(0, color=style.MUTED, lw=0.8)
        for subject, key, shift in ((names.EXACT, "exact", -0.012), (names.SYNTHESIZER, "synthesizer", 0.012)):
            look, mean = style.look(subject, []), one.mean(key)
            error = 2 * np.sqrt(np.square([p[f"{key}_se"] for p in one.pictures.values()]).sum(0)) / len(one.pictures)
            panel.errorbar(
                np.array(one.first["temperatures"]) + shift, mean, error, color=look.color, ls=look.dash,
                marker=look.marker, ms=4, elinewidth=0.8, label=names.synthesizer_label(subject),
            )  # fmt: skip
        panel.set_xlabel("sampling temperature")
        panel.set_title(one.title, loc="left")
        panel.set_xticks(one.first["temperatures"])
    axes[0][0].set_ylabel("KL from the prior (nats)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=2)
    return drawn


def caption(run: Path) -> str | None:
    """The divergence at temperature 1 beside that at 0.7, the synthesizer's."""
    found = shown(run, NAME)
    if not found:
        return None
    parts = []
    for one in found:
        mean = dict(zip(one.first["temperatures"], one.mean("synthesizer"), strict=True))
        parts.append(f"{nats(float(mean[1.0]))} in {one.title} ({nats(float(mean[0.7]))} at 0.7)")
    return (
        f"At temperature 1 the concepts of synthetic documents differ from the prior by {', '.join(parts)} nats. "
        "KL of the mean implied posterior from the prior, without the bias of few documents, so that it may come out "
        f"below 0; bars are two standard errors. {count(found[0].first['n'], 'document')} a seed. {sources(found)}"
    )
