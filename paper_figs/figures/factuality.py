"""Factuality of synthetic text: the paper's judge beside facts that a world knows to be untrue, and their floor."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.points import whisker
from paper_figs.figures.published import scale
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.quality_table import tenths
from paper_figs.run_files import read_published
from paper_figs.wording import count, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "narration"


@style.styled
def draw(tables: Path) -> "Figure | None":
    """Left the published shares by scale, right the untrue facts of ours by arm; None without such a table."""
    cell = _cell(tables)
    if cell is None:
        return None
    drawn, (published, ours) = style.figure(2.6, 1, 2)
    rows = [row for row in read_published("table2") if row["measure"] == "non-factual"]
    for i, row in enumerate(rows):
        published.bar(i, float(row["percent"]), color=style.MUTED if row["scale"] == "real" else style.BLUE, width=0.6)
    published.set_xticks(range(len(rows)), [f"{scale(row)} ({row['certainty']})" for row in rows], fontsize=7)
    published.set_ylabel("documents with an untrue claim (%)")
    published.set_title("published: judged by a language model", loc="left", fontsize=8)
    arms = cell.results.subjects(names.UNTRUE_FACTS)
    for i, arm in enumerate(arms):
        row, look = cell.over(names.UNTRUE_FACTS, arm), style.look(arm, arms)
        whisker(ours, i, row, 100, color=look.color, lw=1.4)
        ours.plot(i, 100 * row["estimate"], look.marker, color=look.color, ms=7)
        for single in cell.results.by_seed(names.UNTRUE_FACTS, arm).values():
            ours.plot(i, 100 * single["estimate"], ".", color=look.color, ms=3, alpha=0.6)
    ours.set_xticks(range(len(arms)), [names.arm_label(arm).replace(" (", "\n(") for arm in arms], fontsize=7)
    ours.set(xlim=(-0.5, len(arms) - 0.5), ylim=(0, None), ylabel="facts untrue of d1's person (%)")
    ours.set_title("ours: known exactly", loc="left", fontsize=8)
    return drawn


def caption(tables: Path) -> str | None:
    """SBP's untrue facts beside those of exact Bayes, which no synthesizer can have fewer of without copying."""
    cell = _cell(tables)
    if cell is None:
        return None
    arms = cell.results.subjects(names.UNTRUE_FACTS)
    shares = [f"{names.arm_label(arm)} {interval(cell.over(names.UNTRUE_FACTS, arm), tenths)}" for arm in arms]
    documents = max(row["n"] for row in cell.results.of(names.UNTRUE_FACTS) if row["seed"] is not None)
    return (
        f"Facts untrue of the seed document's person: {', '.join(shares)}. Exact Bayes has untrue facts too, of what "
        "d1 leaves open: a fact that it does not tell must be drawn. The two panels measure different things: left the "
        f"paper's Table 2, documents; right facts. {cell.results.label}, {count(len(cell.results.seeds), 'seed')}, "
        f"{documents:,} facts a seed at most."
    )


def _cell(tables: Path) -> Cell | None:
    cells = read_table(tables, EXPERIMENT)
    return cells[0] if cells and cells[0].results.of(names.UNTRUE_FACTS) else None
