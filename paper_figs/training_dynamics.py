"""Held-out loss along training, all arms: the paper's figure of training dynamics, with exact Bayes as the floor."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.run_files import Results, read_metrics, read_results
from paper_figs.wording import count, joined, nats, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[np.ndarray, np.ndarray]
IN_VIEW_FROM = 0.15  # share of the budget: earlier losses are far above everything that matters


@style.styled
def draw(run: Path) -> "Figure | None":
    """Mean over seeds of each arm, a thin line for each seed, a ring where it turned; None without training metrics."""
    curves = arm_curves(run)
    if not curves:
        return None
    results = read_results(run)
    drawn, axes = style.figure(3.4)
    budget = max(tokens[-1] for by_seed in curves.values() for tokens, _ in by_seed.values())
    unit, thousand = ("millions", 1e6) if budget >= 1e6 else ("thousands", 1e3)
    ends, inside = [], []
    for arm, by_seed in curves.items():
        look = style.look(arm, list(curves))
        for tokens, loss in by_seed.values():
            axes.plot(tokens / thousand, loss, color=look.color, lw=0.5, alpha=0.45, zorder=1)
            inside += loss[tokens >= IN_VIEW_FROM * tokens[-1]].tolist()
        tokens, mean = mean_curve(by_seed)
        marks = {"marker": look.marker, "markevery": max(1, len(tokens) // 6), "ms": 4}
        axes.plot(tokens / thousand, mean, color=look.color, ls=look.dash, zorder=3, **marks)
        best = int(mean.argmin())
        if best < len(mean) - 1:
            axes.plot(tokens[best] / thousand, mean[best], "o", ms=10, mfc="none", mec=look.color, mew=1.3, zorder=4)
        ends.append((tokens[-1] / thousand, float(mean[-1]), names.arm_label(arm), look.color))
    top, bottom = max(inside), min(inside)
    excess = _has_floor(results)
    if excess:
        axes.axhline(0, color=style.INK, lw=1)
        ends.append((ends[0][0], 0.0, "exact Bayes", style.INK))
        bottom = 0.0
    axes.set_ylim(bottom - 0.04 * (top - bottom), top + 0.04 * (top - bottom))
    axes.set_xlim(left=0)
    axes.margins(x=0)
    axes.set_xlabel(f"training tokens ({unit})")
    above = " above exact Bayes" if excess else ""
    axes.set_ylabel(f"validation loss{above}\n(nats/token, end of document counted)")
    style.label_ends(axes, ends)
    return drawn


def caption(run: Path) -> str | None:
    """Where each arm ends on the held-out documents, and when repetition turned."""
    curves = arm_curves(run)
    if not curves:
        return None
    results = read_results(run)
    measure = names.at_checkpoint(names.EXCESS_LOSS if _has_floor(results) else names.HELDOUT_LOSS, names.FINAL)
    rows = [results.over_seeds(measure, arm) for arm in curves]
    # SBP is what the figure is about; the others follow from best to worst.
    rows = sorted((row for row in rows if row), key=lambda row: (row["subject"] != names.SBP, row["estimate"]))
    ends = [f"{names.arm_label(row['subject'])} at {nats(row['estimate'])}" for row in rows]
    turning = ""
    if names.REPETITION in curves:
        tokens, mean = mean_curve(curves[names.REPETITION])
        if (best := int(mean.argmin())) < len(mean) - 1:
            spent = percent(tokens[best] / tokens[-1])
            turning = f" Repetition was best after {spent} of its tokens and got worse from there."
    where = "nats/token above exact Bayes" if _has_floor(results) else "nats/token"
    documents = max(row["n"] for row in results.of(measure) if row["seed"] is not None)
    return (
        f"On held-out documents the arms end, in {where}, with {joined(ends)}.{turning} "
        f"Mean of {count(len(results.seeds), 'seed')} (thin lines: each), {count(documents, 'held-out document')} a "
        "seed; the curves are of validation documents, and a ring marks the best of an arm that got worse after it."
    )


def arm_curves(run: Path) -> dict[str, dict[int, Curve]]:
    """arm -> seed -> (tokens, validation loss); in a world the loss is above exact Bayes."""
    results = read_results(run)
    floors = results.by_seed(names.EXACT_VALIDATION_LOSS, names.EXACT)
    arms = results.subjects(names.at_checkpoint(names.HELDOUT_LOSS, names.FINAL))
    metrics = read_metrics(run)
    curves: dict[str, dict[int, Curve]] = {}
    for arm in arms:
        for seed, lines in metrics.get(arm, {}).items():
            evaluated = [line for line in lines if line.get("validation_loss") is not None]
            points = [(line["tokens"], line["validation_loss"]) for line in evaluated]
            if len(points) > 1:
                tokens, loss = np.array(points, dtype=float).T
                floor = floors[seed]["estimate"] if seed in floors else 0.0
                curves.setdefault(arm, {})[seed] = tokens, loss - floor
    return curves


def mean_curve(by_seed: dict[int, Curve]) -> Curve:
    """Mean over seeds, on the first seed's tokens as far as all seeds reach."""
    reach = min(tokens[-1] for tokens, _ in by_seed.values())
    grid = next(iter(by_seed.values()))[0]
    grid = np.append(grid[grid < reach], reach)
    return grid, np.mean([np.interp(grid, tokens, loss) for tokens, loss in by_seed.values()], axis=0)


def _has_floor(results: Results) -> bool:
    return bool(results.by_seed(names.EXACT_VALIDATION_LOSS, names.EXACT))
