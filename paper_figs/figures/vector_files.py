"""A figure as vector files: SVG for pages, PDF for papers."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(drawn: "Figure", folder: Path, name: str) -> str:
    """Write ``name.svg`` and ``name.pdf`` and return the SVG's text. The same figure gives the same bytes."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    svg = folder / f"{name}.svg"
    # Type 42 keeps the text of a PDF text: journals refuse Type 3 fonts.
    with rc_context({**style.RC, "svg.hashsalt": name, "pdf.fonttype": 42}):
        drawn.savefig(svg, metadata={"Date": None}, transparent=True)
        drawn.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    return svg.read_text(encoding="utf-8")
