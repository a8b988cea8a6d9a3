"""Phase diagram: what true pairs add over random ones, by H(c|d1) and number of documents; neural beside ideal."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.points import RECOVERED, rests_on
from paper_figs.figures.result_tables import Cell, read_table, seeds_of
from paper_figs.wording import count, interval, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT, IDEAL = "sweep-ambiguity", "ideal"
REAL, AMBIGUITY = "corpus.real", "corpus.world.overlap"
DIFFERENCE = names.SBP_MINUS_RANDOM_PAIRS
LIMIT = 60.0  # per cent: beyond it the colour stays
Grid = dict[tuple[float, int], tuple[float, dict]]  # (overlap, documents) -> H(c|d1), share over seeds


@style.styled
def draw(tables: Path) -> "Figure | None":
    """A square a cell with its number, blue where true pairs win; left networks, right learners of exact statistics."""
    grids = _grids(tables)
    if not grids:
        return None
    drawn, panels = style.figure(3.0, 1, len(grids), squeeze=False, sharey=True)
    for axes, (title, grid) in zip(panels[0], grids.items(), strict=True):
        overlaps, numbers = sorted({at for at, _ in grid}), sorted({n for _, n in grid})
        for (overlap, number), (_, row) in grid.items():
            x, y, share = overlaps.index(overlap), numbers.index(number), 100 * row["estimate"]
            color = style.BLUE if share > 0 else style.VERMILLION
            strength = 0.08 + 0.72 * min(abs(share), LIMIT) / LIMIT
            axes.fill([x - 0.5, x + 0.5, x + 0.5, x - 0.5], [y - 0.5, y - 0.5, y + 0.5, y + 0.5], color=color,
                      alpha=strength, lw=0)  # fmt: skip
            clear = row["low"] is not None and (row["low"] > 0 or row["high"] < 0)
            weight = "bold" if clear else "normal"
            axes.text(x, y, f"{share:.0f}".replace("-", "−"), ha="center", va="center", fontsize=7.5, weight=weight)
        entropies = [_mean([h for (o, _), (h, _) in grid.items() if o == overlap]) for overlap in overlaps]
        axes.set_xticks(range(len(overlaps)), [nats(round(h, 2)) for h in entropies])
        axes.set_yticks(range(len(numbers)), [f"{n:,}" for n in numbers])
        axes.grid(visible=False)
        axes.set_xlabel("H(c|d1) (nats)")
        axes.set_title(title, loc="left")
    panels[0][0].set_ylabel("documents in D")
    return drawn


def caption(tables: Path) -> str | None:
    """The cell where the difference is greatest, in how many it is clear, and which way."""
    grids = _grids(tables)
    if not grids:
        return None
    sentences = []
    for title, grid in grids.items():
        (_, number), (entropy, row) = max(grid.items(), key=lambda item: item[1][1]["estimate"])
        clear = sum(r["low"] is not None and r["low"] > 0 for _, r in grid.values())
        against = sum(r["high"] is not None and r["high"] < 0 for _, r in grid.values())
        sentences.append(
            f"{title.capitalize()}: true pairs add most at H(c|d1) = {nats(entropy)} nats and {number:,} documents, "
            f"{interval(row)} of the oracle's gain; clearly more than random ones in {clear} of "
            f"{count(len(grid), 'cell')}, clearly less in {against}."
        )
    seeds = seeds_of([row for grid in grids.values() for _, row in grid.values()])
    number = "Per cent of the oracle's gain, SBP less random pairs, at the end of the budget; bold: the interval "
    cells = read_table(tables, EXPERIMENT)
    rest = rests_on(cells, RECOVERED, [DIFFERENCE]) if cells else f"At most {count(seeds, 'seed')}."
    return " ".join([*sentences, f"{number}leaves out 0.", rest])


def _grids(tables: Path) -> dict[str, Grid]:
    """Title -> the grid; networks first, and nothing without them."""
    cells = [c for c in read_table(tables, EXPERIMENT) if AMBIGUITY in c.values and c.over(RECOVERED, DIFFERENCE)]
    grids = {"networks": _grid(cells)} if cells else {}
    ideal = [c for c in read_table(tables, IDEAL) if AMBIGUITY in c.values and c.over(RECOVERED, DIFFERENCE)]
    return {**grids, "ideal learners": _grid(ideal)} if ideal else grids


def _grid(cells: list[Cell]) -> Grid:
    grid: Grid = {}
    for cell in cells:
        entropy = cell.over(names.CONCEPT_ENTROPY, names.WORLD)
        if entropy:
            at = cell.values[AMBIGUITY], cell.values[REAL]
            grid[at] = entropy["estimate"], cell.over(RECOVERED, DIFFERENCE)
    return grid


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
