"""A seed document and what the synthesizer made of it (a figure of the paper), at toy scale."""

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import style
from paper_figs.figures.result_tables import read_table
from paper_figs.wording import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENTS = ("lexicon", "narration")
WIDTH = 48  # characters of a line
SHOWN = 4


@style.styled
def draw(tables: Path) -> "Figure | None":
    """d1 above, variations in two columns below; None where no table has texts."""
    found = _found(tables)
    if found is None:
        return None
    _, texts = found
    written = [textwrap.fill(text, WIDTH) for text in texts["synthesized"][:SHOWN]]
    rows = [written[i : i + 2] for i in range(0, len(written), 2)]
    lines = [max(text.count("\n") + 1 for text in row) for row in rows]
    top = textwrap.fill(texts["d1"], 2 * WIDTH)
    drawn, axes = style.figure(0.6 + 0.125 * (top.count("\n") + 1 + sum(lines) + 2.5 * len(rows) + 2))
    total = top.count("\n") + 3 + sum(lines) + 2.5 * len(rows)
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(-total, 0.5))
    axes.text(0, 0, "seed document d1", weight="bold", va="top", fontsize=7.5)
    axes.text(0, -1.1, top, va="top", fontsize=7, family="DejaVu Sans", color=style.INK)
    y = -(top.count("\n") + 3.5)
    for i, (row, height) in enumerate(zip(rows, lines, strict=True)):
        for column, text in enumerate(row):
            x = 0.51 * column
            axes.text(x, y, f"d2, sample {2 * i + column + 1}", weight="bold", va="top", fontsize=7.5, color=style.BLUE)
            axes.text(x, y - 1.1, text, va="top", fontsize=7)
        y -= height + 2.5
    return drawn


def caption(tables: Path) -> str | None:
    """Where the texts are from, and that they were not chosen."""
    found = _found(tables)
    if found is None:
        return None
    experiment, texts = found
    number = count(min(SHOWN, len(texts["synthesized"])), "document")
    return (
        f"The synthesizer writes {number} from one seed document, each what a related document might be. Experiment "
        f"{experiment} ({read_table(tables, experiment)[0].results.label}), seed {texts['seed']}; not chosen: the "
        "first seed document of D with so many, and the first of them. n = 1 seed document of 1 seed, to be read, "
        "not as evidence."
    )


def _found(tables: Path) -> tuple[str, dict] | None:
    for experiment in EXPERIMENTS:
        file = tables / experiment / "variations.json"
        if file.exists():
            return experiment, json.loads(file.read_text(encoding="utf-8"))
    return None
