"""How often copies are written against how long the synthesizer was trained on pairs with copies among them (P8)."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.run_files import read_cells, read_verdicts
from paper_figs.wording import count, joined, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COPIES, SHARE, STEPS = "copies", "pairing.near_duplicate", "synthesizer.steps"


@style.styled
def draw(run: Path) -> "Figure | None":
    """Share of copies against training steps with its interval, the share learnt from as a line; None with one."""
    rows = _by_steps(run)
    if len(rows) < 2:
        return None
    drawn, axes = style.figure(2.6)
    steps, look = list(rows), style.look(names.SYNTHESIZER, [])
    middle = [100 * row["estimate"] for row in rows.values()]
    spread = [[100 * (row["estimate"] - row["low"]) for row in rows.values()],
              [100 * (row["high"] - row["estimate"]) for row in rows.values()]]  # fmt: skip
    axes.errorbar(steps, middle, spread, color=look.color, ls=look.dash, marker=look.marker, capsize=3)
    exact = 100 * next(iter(rows.values()))["null"]
    axes.axhline(exact, color=style.look(names.EXACT, []).color, ls=style.look(names.EXACT, []).dash)
    axes.set(xscale="log", xlabel="steps of synthesizer-tuning", ylabel="documents that copy d1 (%)")
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.set_xticks(steps, [f"{step:,}" for step in steps])
    axes.minorticks_off()
    ends = [(steps[-1], middle[-1], "synthesizer", look.color)]
    ends.append((steps[-1], exact, "exact Bayes", style.look(names.EXACT, []).color))
    style.label_ends(axes, ends)
    return drawn


def caption(run: Path) -> str | None:
    """The share of copies at each length of training, beside that of exact Bayes."""
    rows = _by_steps(run)
    if len(rows) < 2:
        return None
    parts = [f"{100 * row['estimate']:.2g} % after {steps:,} steps" for steps, row in rows.items()]
    last = list(rows.values())[-1]
    return (
        f"The synthesizer copies d1 in {joined(parts)}; exact Bayes in {percent(last['null'])}. That share of the "
        "pairs learnt from were copies. Probability of a copy under its law, averaged over d1; bars are 90 % intervals "
        f"over seeds. {count(last['n'], 'document')}, {count(len(last['seeds']), 'seed')} together."
    )


def _by_steps(run: Path) -> dict[int, dict]:
    """Steps -> the verdict on copies, of the cells of one block whose pairs had copies among them."""
    cells = read_cells(run)
    found = {
        cells[row["cell"]][STEPS]: row
        for row in read_verdicts(run)
        if row["quantity"] == COPIES
        and row["subject"] == names.SYNTHESIZER
        and row["cell"] is not None
        and row["estimate"] is not None
        and row["low"] is not None
        and SHARE in cells[row["cell"]]
        and STEPS in cells[row["cell"]]
    }
    return dict(sorted(found.items()))
