"""A table as a figure of page width, so that tables have the same files and style as figures."""

from typing import TYPE_CHECKING

from paper_figs import style
from paper_figs.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHARACTERS = 112  # that fit into the page's width at the full font size
FONT = 7.2
LINE = 0.17  # inches


@style.styled
def draw_table(table: Table) -> "Figure":
    """Header and rows; words to the left, numbers to the right of their columns; the font shrinks to fit the width."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[i]) for line in lines) + 2 for i in range(len(table.header))]
    total = sum(widths)
    font = min(FONT, FONT * CHARACTERS / total)
    drawn, axes = style.figure(LINE * (len(lines) + 1))
    axes.axis("off")
    axes.set(xlim=(0, total), ylim=(len(lines), 0))
    for y, line in enumerate(lines):
        x = 0
        for i, (cell, width) in enumerate(zip(line, widths, strict=True)):
            left = i < table.words
            at, side = (x, "left") if left else (x + width - 1, "right")
            weight = "bold" if y == 0 else "normal"
            axes.text(at, y + 0.5, cell, ha=side, va="center", fontsize=font, weight=weight)
            x += width
    for y in (0, 1, len(lines)):
        axes.plot([0, total], [y, y], color=style.INK, lw=0.8 if y == 1 else 1.2, clip_on=False)
    return drawn
