"""The workflow of SBP (the paper's Figure 1), drawn: pairs, synthesizer-tuning, synthesis, joint training."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import style
from paper_figs.run_files import read_published

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = (
    ("1 pair", "related documents\n(d1, d2) of D", ("embedder", "alpha", "neighbours", "near-duplicate run")),
    ("2 tune", "synthesizer p(d2 | d1)\nfrom the base model", ("synthesizer learning rate", "synthesizer batch")),
    ("3 write", "d1 from D,\nd2 from p(. | d1)", ("temperature", "top-p")),
    ("4 train", "a fresh model\non D and S", ("passes over the synthetic text",)),
)
SHORT = {
    "embedder": "",
    "neighbours": "neighbours ",
    "near-duplicate run": "no shared run of ",
    "synthesizer learning rate": "learning rate ",
    "synthesizer batch": "batch ",
    "passes over the synthetic text": "S seen once: ",
}
BAYES = ("c: what d1 and d2 share", "learns Σ P(d2|c) P(c|d1)", "infers c, draws d2", "closer to P(d)?")


@style.styled
def draw(tables: Path) -> "Figure":
    """Four boxes in a row, the paper's settings with their certainty below each; it needs no table."""
    from matplotlib.patches import FancyBboxPatch

    settings = {row["quantity"]: row for row in read_published("method")}
    drawn, axes = style.figure(2.5)
    axes.set(xlim=(0, 4), ylim=(0, 2.35))
    axes.axis("off")
    for i, (title, what, quantities) in enumerate(STEPS):
        box = FancyBboxPatch((i + 0.06, 1.1), 0.8, 0.85, boxstyle="round,pad=0.03", fc="none", ec=style.BLUE, lw=1.3)
        axes.add_patch(box)
        axes.text(i + 0.46, 1.78, title, ha="center", weight="bold", fontsize=9)
        axes.text(i + 0.46, 1.37, what, ha="center", va="center", fontsize=7.2)
        axes.text(i + 0.46, 2.15, BAYES[i], ha="center", fontsize=6.8, color=style.GREEN, style="italic")
        lines = [_setting(settings[quantity]) for quantity in quantities]
        axes.text(i + 0.46, 0.92, "\n".join(lines), ha="center", va="top", fontsize=6.2, color=style.MUTED)
        if i < len(STEPS) - 1:
            arrow = {"arrowstyle": "-|>", "color": style.INK, "lw": 1.2}
            axes.annotate("", (i + 1.02, 1.52), (i + 0.9, 1.52), arrowprops=arrow)
    return drawn


def caption(tables: Path) -> str:
    """What the figure shows; it rests on no measurement."""
    return (
        "SBP learns from pairs of related documents to write new ones, and trains a fresh model on both. Green: the "
        "Bayesian reading, which this project tests; grey: the paper's settings with our certainty of them. The budget "
        "of the fresh model is that of the baseline, which repeats D. Drawn, not measured: n and seeds do not apply."
    )


def _setting(row: dict[str, str]) -> str:
    name = SHORT.get(row["quantity"], f"{row['quantity']} ")
    unit = {"million tokens": " M tokens", "tokens": " tokens"}.get(row["unit"], "")
    value = "yes" if row["quantity"].startswith("passes") else row["value"]
    return f"{name}{value}{unit} ({row['certainty']})"
