"""The models' shapes, ours beside the paper's (a table of its appendix)."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs.figures.drawn_table import draw_table
from paper_figs.figures.published import MARKS
from paper_figs.run_files import read_published
from paper_figs.tables import Table
from paper_figs.wording import joined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A copy of `sbp_bayes.model.sizes`, because figures import nothing but files; a test holds the two together.
SIZES = Path(__file__).parent / "sizes.csv"


def table() -> Table:
    """A row a quantity, a column a model: ours, then the paper's with certainty; a dash where we know of no number."""
    with SIZES.open(encoding="utf-8", newline="") as file:
        ours = list(csv.DictReader(file))
    published = read_published("architecture")
    theirs = list(dict.fromkeys(row["model"] for row in published))
    known = {(row["model"], row["quantity"]): row for row in published}
    quantities = dict.fromkeys([*list(ours[0])[1:], *(row["quantity"] for row in published)])
    rows = []
    for quantity in quantities:
        found = [known.get((model, quantity)) for model in theirs]
        cells = [f"{int(row['value']):,} ({row['certainty']})" if row else "–" for row in found]
        rows.append([quantity, *(f"{int(m[quantity]):,}" if quantity in m else "–" for m in ours), *cells])
    return Table(["", *(model["model"] for model in ours), *(f"paper {model}" for model in theirs)], rows)


def draw(tables: Path) -> "Figure":
    """The table drawn; it needs no results."""
    return draw_table(table())


def caption(tables: Path) -> str:
    """What the sizes share, and where ours differ from what is known of the paper's."""
    shown = table()
    paper = [name.removeprefix("paper ") for name in shown.header if name.startswith("paper ")]
    differ = []
    for model in paper:
        ours, theirs = shown.header.index(model), shown.header.index(f"paper {model}")
        differ += [
            f"{row[0]} of {model}"
            for row in shown.rows
            if row[ours] != "–" and row[theirs] != "–" and row[ours] != row[theirs].rpartition(" (")[0]
        ]
    same = f"differ in {joined(differ)}" if differ else "agree wherever both are known"
    return (
        f"One dial from models of seconds to the paper's: ours and the paper's shapes {same}. All have RMSNorm, rotary "
        "positions, QK-norm and SwiGLU; context and vocabulary of ours are an experiment's. Not measured: n and seeds "
        f"do not apply. {MARKS}"
    )
