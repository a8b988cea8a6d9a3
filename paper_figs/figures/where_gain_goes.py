"""Where the gain goes: gain over repetition on documents of frequent and of rare concepts, under a Zipf prior."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.figures.points import rests_on
from paper_figs.figures.result_tables import Cell, read_table
from paper_figs.wording import joined, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "sweep-concepts"
MEASURE = names.at_checkpoint(names.EXCESS_LOSS_OF_RANKS, names.FINAL)
ARMS = (names.SBP, names.RANDOM_PAIRS, names.EXACT, names.ORACLE)
Gains = dict[str, dict[float, list[float]]]


@style.styled
def draw(tables: Path) -> "Figure | None":
    """A panel a cell whose prior is uneven: gain by rank of the concept, in octaves, an arm a line, a dot a seed."""
    found = _found(tables)
    if not found:
        return None
    drawn, grid = style.figure(2.9, 1, len(found), sharey=True, squeeze=False)
    for axes, (cell, gains) in zip(grid[0], found, strict=True):
        for arm, by_rank in gains.items():
            look = style.look(arm, [])
            means = [sum(values) / len(values) for values in by_rank.values()]
            axes.plot(list(by_rank), means, color=look.color, ls=look.dash, marker=look.marker, ms=4.5,
                      label=names.arm_label(arm))  # fmt: skip
            for rank, values in by_rank.items():
                axes.plot([rank] * len(values), values, ".", color=look.color, ms=3, alpha=0.6)
        axes.axhline(0, color=style.MUTED, lw=0.8)
        axes.set_xscale("log", base=2)
        ranks = sorted({rank for by_rank in gains.values() for rank in by_rank})
        axes.set_xticks(ranks, [f"{rank:.0f}" if rank == 1 else f"{rank:.0f}–{2 * rank - 1:.0f}" for rank in ranks])
        axes.set_xlabel("rank of the concept: 1 is the most frequent")
        axes.set_title(cell.results.label, loc="left", fontsize=8)
    grid[0][0].set_ylabel("gain over repetition (nats/token)")
    handles, labels = grid[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=4)
    return drawn


def caption(tables: Path) -> str | None:
    """SBP's gain on the most frequent and on the rarest concepts."""
    found = _found(tables)
    if not found:
        return None
    parts = []
    for cell, gains in found:
        if names.SBP not in gains:
            continue
        by_rank = gains[names.SBP]
        first, last = (sum(by_rank[rank]) / len(by_rank[rank]) for rank in (min(by_rank), max(by_rank)))
        side = "more" if last > first else "less"
        parts.append(
            f"{side} on rare concepts in {cell.results.label} ({nats(last)} beside {nats(first)} nats/token on the "
            "most frequent)"
        )
    said = f"SBP gains {joined(parts)}." if parts else "SBP was not trained here."
    return f"{said} Ranks by the world's prior, in octaves. {rests_on([c for c, _ in found], MEASURE, ARMS, dots=True)}"


def _found(tables: Path) -> list[tuple[Cell, Gains]]:
    return [(cell, gains) for cell in read_table(tables, EXPERIMENT) if (gains := _gains(cell))]


def _gains(cell: Cell) -> Gains:
    """arm -> rank -> each seed's gain: the loss of repetition less that of the arm on the same documents."""
    losses = {
        (r["subject"], r["at"], r["seed"]): r["estimate"] for r in cell.results.of(MEASURE) if r["seed"] is not None
    }
    gains: Gains = {}
    for (arm, rank, seed), loss in sorted(losses.items(), key=lambda item: item[0][1:]):
        base = losses.get((names.REPETITION, rank, seed))
        if arm in ARMS and base is not None:
            gains.setdefault(arm, {}).setdefault(rank, []).append(base - loss)
    return gains
