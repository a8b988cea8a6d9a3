"""Phase diagram: what true pairs add over random ones, by H(c|d1) and number of documents; neural beside ideal."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.points import RECOVERED, rests_on
from paper_figs.figures.result_tables import Cell, read_table, seeds_of
from paper_figs.run_files import Results
from paper_figs.wording import count, interval, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT, IDEAL = "sweep-ambiguity", "ideal"
OF_IDEAL, INFORMATION, EXCESS = "ideal:", "gain from information", "excess_loss_per_document"
NETWORKS, IDEAL_TITLE = "networks", "ideal learners"
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
    drawn, panels = style.figure(3.0, 1, len(grids), squeeze=False)
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
    sentences.append(
        "Numbers are per cent of the oracle's gain, SBP less random pairs; bold: 0 is not in the interval."
    )
    if NETWORKS in grids:
        sentences.append(f"Networks: {rests_on(read_table(tables, EXPERIMENT), RECOVERED, [DIFFERENCE])}")
    else:
        sentences.append(f"Networks: no results yet (sbp run experiments/{EXPERIMENT}.toml).")
    if IDEAL_TITLE in grids:
        worlds = seeds_of([row for _, row in grids[IDEAL_TITLE].values()])
        sentences.append(
            "Ideal learners have exact statistics and nothing to optimise; there SBP is held against the better of "
            f"random pairs and self-generation, in {count(worlds, 'world')} a cell, each of a seed of its own."
        )
    return " ".join(sentences)


def _grids(tables: Path) -> dict[str, Grid]:
    """Title -> the grid, of networks and of ideal learners, as far as there are tables."""
    cells = [c for c in read_table(tables, EXPERIMENT) if AMBIGUITY in c.values and c.over(RECOVERED, DIFFERENCE)]
    grids = {NETWORKS: _grid(cells)} if cells else {}
    for cell in read_table(tables, IDEAL):
        if ideal := _ideal_grid(cell.results):
            grids[IDEAL_TITLE] = ideal
    return grids


def _ideal_grid(results: Results) -> Grid:
    """The grid of `analysis.ideal.phase_diagram`: a world a value of overlap, ``at`` the documents; what related pairs
    gain over the better of random pairs and self-generation, as a share of the oracle's gain over repetition."""
    grid: Grid = {}
    for row in results.of(INFORMATION, f"{OF_IDEAL}{names.SBP}"):
        overlap = re.search(r"overlap=([0-9.]+)", row["world"])
        entropy = _one(results, names.CONCEPT_ENTROPY, names.WORLD, row["world"], None)
        base, best = (
            _one(results, EXCESS, f"{OF_IDEAL}{arm}", row["world"], row["at"])
            for arm in (names.REPETITION, names.ORACLE)
        )
        if overlap is None or not (entropy and base and best) or base["estimate"] <= best["estimate"]:
            continue
        gain = base["estimate"] - best["estimate"]
        spread = None if row["se"] is None else 1.96 * row["se"]
        ends = {"low": None, "high": None}
        if spread is not None:
            ends = {"low": (row["estimate"] - spread) / gain, "high": (row["estimate"] + spread) / gain}
        share = {**row, "estimate": row["estimate"] / gain, **ends}
        grid[float(overlap[1]), int(row["at"])] = entropy["estimate"], share
    return grid


def _one(results: Results, measure: str, subject: str, world: str, at: float | None) -> dict | None:
    return next((r for r in results.of(measure, subject) if r["world"] == world and r["at"] == at), None)


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
