"""Rounds of SBP: the loss after each, and beside it the drift of concepts that a chain of exact Bayes predicts."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import concept_drift, names, style
from paper_figs.chosen_cells import shown
from paper_figs.figures.points import loss_measure, rests_on, whisker
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.wording import interval, joined, nats, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "arms"
ROUNDS = {names.REPETITION: 0, names.SBP: 1, "round-2": 2, "round-2-repaired": 2, "round-3": 3}


@style.styled
def draw(tables: Path) -> "Figure | None":
    """Left loss by round, right what chains of documents keep of the concept; None unless a second round was run."""
    cell = _cell(tables)
    if cell is None:
        return None
    drawn, (losses, drift) = style.figure(2.8, 1, 2)
    measure, label = loss_measure([cell])
    for arm, row in _rows(cell, measure).items():
        look = style.look(arm, list(ROUNDS))
        whisker(losses, ROUNDS[arm], row, color=look.color, lw=1.2)
        losses.plot(ROUNDS[arm], row["estimate"], look.marker, color=look.color, ms=6, label=names.arm_label(arm))
    losses.set_xticks(sorted(set(ROUNDS[arm] for arm in _rows(cell, measure))))
    losses.set(xlabel="rounds of SBP", ylabel=label)
    losses.legend(fontsize=7)
    for one in shown(tables / EXPERIMENT, concept_drift.NAME):
        for subject, key in ((names.EXACT, "exact"), (names.SYNTHESIZER, "left")):
            look, left = style.look(subject, []), one.mean(key)
            drift.set_xticks(range(len(left)))
            drift.plot(np.arange(len(left)), left, color=look.color, ls=look.dash, marker=look.marker, ms=4,
                       label=names.synthesizer_label(subject))  # fmt: skip
    drift.axhline(0, color=style.MUTED, lw=0.8)
    drift.set(xlabel="rounds of writing, each from the last", ylabel="concept left")
    if drift.get_legend_handles_labels()[0]:
        drift.legend(fontsize=7)
    return drawn


def caption(tables: Path) -> str | None:
    """Whether a second round helps, and how much of the concept is left after the chain's last round."""
    cell = _cell(tables)
    if cell is None:
        return None
    measure, _ = loss_measure([cell])
    rows = _rows(cell, measure)
    first = rows[names.SBP]["estimate"]
    later = [arm for arm in rows if ROUNDS[arm] > 1]
    parts = [
        f"{names.arm_label(arm)} {'better' if rows[arm]['estimate'] < first else 'worse'} ({interval(rows[arm], nats)})"
        for arm in later
    ]
    chains = [
        f"{percent(float(one.mean('left')[-1]))} of the concept is left after {len(one.first['left']) - 1} rounds of "
        f"writing, exact Bayes keeps {percent(float(one.mean('exact')[-1]))}"
        for one in shown(tables / EXPERIMENT, concept_drift.NAME)
    ]
    drift = f" {joined(chains)}." if chains else ""
    return (
        f"After one round of SBP the loss is {interval(rows[names.SBP], nats)} nats/token; a second is {joined(parts)}."
        f"{drift} Rounds begin from documents of D each time, so that the drift of a chain is not theirs. "
        f"{rests_on([cell], measure, list(rows))}"
    )


def _cell(tables: Path) -> Cell | None:
    """The cell of all arms, where SBP and a further round were run."""
    for cell in read_table(tables, EXPERIMENT)[:1]:
        rows = _rows(cell, loss_measure([cell])[0])
        if names.SBP in rows and any(ROUNDS[arm] > 1 for arm in rows):
            return cell
    return None


def _rows(cell: Cell, measure: str) -> dict[str, dict]:
    return {arm: row for arm in ROUNDS if (row := cell.over(measure, arm))}
