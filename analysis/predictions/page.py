"""What docs/predictions.md says of each prediction, from the code: ``python -m analysis.predictions.page`` writes it.

What each prediction says, how it is measured, and every margin with its reason.
"""

import inspect
import sys
from pathlib import Path

from analysis.predictions.catalogue import PREDICTIONS, Prediction
from analysis.predictions.margins import margins
from sbp_bayes.files import write_text

START, END = "<!-- from the code: python -m analysis.predictions.page -->", "<!-- end -->"


def sections() -> str:
    """Markdown of all predictions, a heading each."""
    return "\n".join(_section(name, prediction) for name, prediction in PREDICTIONS.items())


def with_sections(page: str) -> str:
    """``page`` with what stands between the marks written anew."""
    head, _, rest = page.partition(START)
    _, _, tail = rest.partition(END)
    return f"{head}{START}\n{sections()}\n{END}{tail}"


def _section(name: str, prediction: Prediction) -> str:
    module = sys.modules[prediction.measure.__module__]
    about = inspect.getdoc(module).partition("\n")[2].strip()
    place = module.__name__.replace(".", "/") + ".py"
    lines = [f"### {name} {prediction.title}", prediction.statement, "", f"Exact Bayes has {prediction.null}.", ""]
    lines += [about, ""] if about else []
    lines += [f"Measured in `{place}`:", "", "| quantity | unit | test | margin | why |", "|---|---|---|---|---|"]
    for quantity, row in margins().get(name, {}).items():
        test = f"{row.test}, a control" if row.control else row.test
        lines.append(f"| {quantity} | {row.unit} | {test} | {row} | {row.reason} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    file = Path("docs/predictions.md")
    write_text(file, with_sections(file.read_text(encoding="utf-8")))
