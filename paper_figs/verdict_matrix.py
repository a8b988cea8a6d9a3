"""Which predictions held in which cell: a row a cell, a column a prediction."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.run_files import read_verdicts
from paper_figs.verdict_table import CONTROL, INCONCLUSIVE, REFUTED, SUPPORTED, VERDICTS
from paper_figs.wording import count, joined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Shape and filling tell the verdicts apart without colour.
MARKS = {
    REFUTED: {"marker": "X", "color": style.VERMILLION, "ms": 6.5},
    INCONCLUSIVE: {"marker": "o", "color": style.MUTED, "ms": 4, "mfc": "none"},
    SUPPORTED: {"marker": "s", "color": style.GREEN, "ms": 5},
    CONTROL: {"marker": "_", "color": style.MUTED, "ms": 5},
}
ALL_CELLS = "all cells"


@style.styled
def draw(run: Path) -> "Figure | None":
    """The verdict of each prediction in each cell of a sweep; None without verdicts or outside a sweep."""
    found = _by_cell(run)
    if not found:
        return None
    predictions = _predictions(found)
    drawn, axes = style.figure(0.9 + 0.17 * len(found))
    for y, verdicts in enumerate(found.values()):
        for x, prediction in enumerate(predictions):
            if prediction in verdicts:
                axes.plot(x, y, ls="", **MARKS[verdicts[prediction]])
    for verdict, mark in MARKS.items():
        axes.plot([], [], ls="", label=verdict.lower(), **mark)
    axes.set_xticks(range(len(predictions)), predictions)
    axes.set_yticks(range(len(found)), list(found))
    axes.tick_params(length=0, labelsize=7)
    axes.xaxis.tick_top()
    axes.set(xlim=(-0.6, len(predictions) - 0.4), ylim=(len(found) - 0.4, -0.6))
    axes.spines[:].set_visible(False)
    drawn.legend(loc="outside lower left", ncols=4)
    return drawn


def caption(run: Path) -> str | None:
    """How many verdicts of each kind there are, and the predictions refuted most."""
    found = _by_cell(run)
    if not found:
        return None
    every = [(prediction, verdict) for verdicts in found.values() for prediction, verdict in verdicts.items()]
    numbers = {verdict: sum(v == verdict for _, v in every) for verdict in VERDICTS}
    refuted = {p: sum(each == (p, REFUTED) for each in every) for p in _predictions(found)}
    worst = sorted((p for p in refuted if refuted[p]), key=lambda p: -refuted[p])[:3]
    asked = {p: sum(each == p for each, _ in every) for p in refuted}
    most = f", most often {joined([f'{p} ({refuted[p]} of {asked[p]} cells)' for p in worst])}" if worst else ""
    rows = read_verdicts(run)
    documents = max(row["n"] for row in rows if row["cell"])
    seeds = max(len(row["seeds"]) for row in rows)
    controls = f"; {count(numbers[CONTROL], 'control')} passed" if numbers[CONTROL] else ""
    return (
        f"Of {count(len(every), 'verdict')} on the trained synthesizers {numbers[REFUTED]} refute{most}; "
        f"{numbers[SUPPORTED]} support and {numbers[INCONCLUSIVE]} decide nothing{controls}. A prediction is refuted "
        f"where any of its quantities is, and supported where all are; a control is one that nothing in the pairs put "
        f"to the test, and that was not refuted. At most {count(documents, 'document')}, "
        f"{count(seeds, 'seed')} together; no mark: it does not apply there."
    )


def _by_cell(run: Path) -> dict[str, dict[str, str]]:
    """cell -> prediction -> verdict on the synthesizer of related pairs; what several cells say together comes last."""
    found: dict[str, dict[str, str]] = {}
    for row in read_verdicts(run):
        if row["cell"] and row["subject"] == names.SYNTHESIZER:
            found.setdefault(row["cell"], {})[row["prediction"]] = row["prediction_verdict"]
    if not found:
        return {}
    together = {row["prediction"]: row["prediction_verdict"] for row in read_verdicts(run) if row["cell"] is None}
    return {**found, **({ALL_CELLS: together} if together else {})}


def _predictions(found: dict[str, dict[str, str]]) -> list[str]:
    """Those that some cell has, by number."""
    return sorted({p for verdicts in found.values() for p in verdicts}, key=lambda p: int(p.removeprefix("P")))
