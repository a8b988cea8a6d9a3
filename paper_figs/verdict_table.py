"""The verdicts on the predictions as a section of a report: what was found, what exact Bayes has, in words."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from paper_figs import names, page
from paper_figs.run_files import read_verdicts
from paper_figs.tables import Table
from paper_figs.wording import interval, nats

REFUTED, INCONCLUSIVE, SUPPORTED, CONTROL = VERDICTS = ("REFUTED", "INCONCLUSIVE", "SUPPORTED", "CONTROL")
NOTE = (
    "Supported: the quantity lies within its margin of what exact Bayes has, by equivalence tests at 5 % with Holm's "
    "correction over the synthesizer's family. Refuted: outside. Inconclusive: too few documents or seeds to tell, or "
    "within the margin though d1 is ignored. Control: not refuted, but nothing put it to the test. "
    "Margins were fixed beforehand (analysis/predictions/margins.toml); docs/predictions.md says what each means."
)


def section(run: Path) -> list[str]:
    """HTML of the heading, the counts and the table; of a sweep folded, for it is long. [] without verdicts."""
    verdicts = read_verdicts(run)
    if not verdicts:
        return []
    shown = verdicts_table(verdicts)
    table = page.table(shown.header, shown.rows, shown.words)
    if any(row["cell"] for row in verdicts):
        table = page.folded("every quantity of every cell", table)
    return [
        "<h2>Verdicts</h2>",
        f"<p>{counts(verdicts)} of quantities.</p>",
        f'<p class="muted">{escape(NOTE)}</p>',
        table,
    ]


def headline(run: Path) -> list[str]:
    """One line for the terminal; [] without verdicts."""
    verdicts = read_verdicts(run)
    return [f"predictions: {counts(verdicts)} of quantities; sbp validate {run} prints them"] if verdicts else []


def verdicts_table(verdicts: Sequence[dict]) -> Table:
    """One row a quantity, refuted ones first; the cell where there are several."""
    with_cells = any(row["cell"] for row in verdicts)
    rows = []
    for row in sorted(verdicts, key=lambda row: VERDICTS.index(row["verdict"])):
        cell = [row["cell"] or "all"] if with_cells else []
        rows.append(
            [
                *cell,
                row["verdict"],
                f"{row['prediction']} {row['title']}",
                row["quantity"],
                row["sentence"],
                names.synthesizer_label(row["subject"]),
                "infinite" if row["estimate"] is None else interval(row, nats),
                nats(row["null"]),
                f"{nats(row['margin'])} ({row['test']})",
                row["unit"],
                f"{row['n']:,}",
                f"{len(row['seeds'])}",
            ]
        )
    words = ["verdict", "prediction", "quantity", "in words", "of"]
    header = [*(["cell"] if with_cells else []), *words, "found [90 %]", "exact Bayes", "margin", "unit", "n", "seeds"]
    return Table(header, rows, words=len(words) + with_cells)


def counts(verdicts: Sequence[dict]) -> str:
    """How many quantities went each way, on one line, refuted ones first."""
    found = [row["verdict"] for row in verdicts]
    return ", ".join(f"{found.count(verdict)} {verdict.lower()}" for verdict in VERDICTS)
