"""Which concepts the synthesizer's documents carry, beside those of exact Bayes, for a few seed documents."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.run_files import read_examples
from paper_figs.wording import count, nats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = 6
CONCEPTS = 8  # the most probable ones; the rest would be bars of no height


@style.styled
def draw(run: Path) -> "Figure | None":
    """A panel for each seed document of the first seed, from clear to ambiguous; None without posteriors."""
    examples = [e for e in read_examples(run) if e["posterior"]]
    if not examples:
        return None
    panels = [e for e in examples if e["seed"] == examples[0]["seed"]][:PANELS]
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = -(-len(panels) // columns)
    drawn, grid = style.figure(0.7 + 1.75 * rows, rows, columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, example in zip(grid.flat, panels, strict=False):
        posterior = example["posterior"]
        order = np.argsort(-np.array(posterior["d1"]), kind="stable")[:CONCEPTS]
        x = np.arange(len(order))
        axes.bar(x, np.array(posterior["d1"])[order], color=style.GRID, width=0.85, label="posterior given d1")
        for key, subject, shift in (("exact_mean", names.EXACT, -0.15), ("synthesized_mean", names.SYNTHESIZER, 0.15)):
            look = style.look(subject, [])
            label = "documents of exact Bayes" if subject == names.EXACT else "documents of the synthesizer"
            axes.plot(x + shift, np.array(posterior[key])[order], look.marker, color=look.color, ms=5, label=label)
        labels = [f"{c}\n▲" if c == posterior["concept"] else str(c) for c in order]
        axes.set_xticks(x, labels)
        axes.tick_params(axis="x", length=0, labelsize=7)
        axes.set_title(f"H(c|d1) = {posterior['entropy']:.2f} nats", loc="left", fontsize=8)
        axes.grid(axis="x", visible=False)
    grid.flat[0].set_ylim(0, None)
    for axes in grid[:, 0]:
        axes.set_ylabel("probability")
    drawn.supxlabel("concept, most probable first (▲ the true one)", fontsize=8.5)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=3)
    return drawn


def caption(run: Path) -> str | None:
    """How far the synthesizer's documents are from exact Bayes' in concepts, beside what sampling alone makes."""
    examples = [e for e in read_examples(run) if e["posterior"]]
    if not examples:
        return None
    distance = np.mean([_distance(e, "synthesized_mean") for e in examples])
    control = np.mean([_distance(e, "control_mean") for e in examples])
    draws = examples[0]["posterior"]["draws"]
    seeds = len({example["seed"] for example in examples})
    return (
        f"The concepts of the synthesizer's documents differ from those of exact Bayes' by {nats(float(distance))} in "
        f"total variation, where sampling alone makes {nats(float(control))}. Posteriors of {draws} documents for each "
        f"d1 averaged; {count(len(examples), 'd1')}, {count(seeds, 'seed')}; shown: seed {examples[0]['seed']}. A "
        "document's own posterior is less sure than the one given d1 (bars): exact draws are the measure, not bars."
    )


def _distance(example: dict, key: str) -> float:
    """Total variation between averaged posteriors."""
    posterior = example["posterior"]
    return 0.5 * float(np.abs(np.array(posterior["exact_mean"]) - np.array(posterior[key])).sum())
