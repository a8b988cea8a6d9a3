"""Training dynamics (a figure of the paper): validation loss along training, all arms, at toy scale."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, training_dynamics
from paper_figs.figures.published import statements
from paper_figs.training_dynamics import Curve, arm_curves, mean_curve
from paper_figs.wording import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "demo"


def draw(tables: Path) -> "Figure | None":
    """The figure of a run's report, of the table ``demo``; None without it."""
    return training_dynamics.draw(tables / EXPERIMENT) if _is_there(tables) else None


def caption(tables: Path) -> str | None:
    """When SBP crosses repetition, and what the paper says of its own."""
    if not _is_there(tables):
        return None
    found = arm_curves(tables / EXPERIMENT)
    curves = {arm: mean_curve(by_seed) for arm, by_seed in found.items()}
    crossing = ""
    if {names.SBP, names.REPETITION} <= curves.keys():
        crossing = _crossing(curves[names.SBP], curves[names.REPETITION])
    return f"{crossing} {training_dynamics.caption(tables / EXPERIMENT)} {statements('training-dynamics')}".strip()


def _is_there(tables: Path) -> bool:
    return (tables / EXPERIMENT / "results.json").exists()


def _crossing(sbp: Curve, repetition: Curve) -> str:
    """A sentence on where SBP's mean loss was last above repetition's, evaluations after the first alone."""
    (tokens, ours), (_, theirs) = sbp, repetition
    worse = [i for i in range(1, len(tokens)) if ours[i] > theirs[i]]
    if not worse:
        return "SBP is never worse than repetition."
    if worse[-1] == len(tokens) - 1:
        return "SBP ends worse than repetition."
    turn = percent(tokens[worse[-1] + 1] / tokens[-1])
    return f"SBP is worse than repetition until {turn} of the budget, then better."
