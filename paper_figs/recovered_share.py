"""Share of the oracle's gain over repetition that each arm recovers, at the end of the budget and at its best."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.run_files import Results, read_published, read_results
from paper_figs.wording import count, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECKPOINTS = ((names.FINAL, "end of the budget", 0.16), (names.BEST, "best validation checkpoint", -0.16))


@style.styled
def draw(run: Path) -> "Figure | None":
    """A row for each arm: estimate, interval over seeds, dots for single seeds; None where no share is defined."""
    results = read_results(run)
    arms = _arms(results)
    if not arms:
        return None
    drawn, axes = style.figure(1.1 + 0.55 * len(arms))
    published = read_published("recovered_share")
    shares = [100 * float(row["recovered_share"]) for row in published]
    axes.axvspan(min(shares), max(shares), color=style.GRID, alpha=0.6, lw=0, zorder=0)
    shown = [0.0, 100.0]
    for row, arm in enumerate(arms):
        look = style.look(arm, arms)
        for checkpoint, _, offset in CHECKPOINTS:
            measure = names.at_checkpoint(names.RECOVERED, checkpoint)
            y = len(arms) - 1 - row + offset
            filled = look.color if checkpoint == names.FINAL else "none"
            dots = [100 * r["estimate"] for r in results.by_seed(measure, arm).values()]
            axes.plot(dots, [y] * len(dots), "o", color=look.color, ms=3.2, mec="none", alpha=0.55)
            over = results.over_seeds(measure, arm)
            if over is None:
                continue
            shown += [100 * over[k] for k in ("estimate", "low", "high") if over[k] is not None]
            if over["low"] is not None and over["high"] is not None:
                axes.plot([100 * over["low"], 100 * over["high"]], [y, y], color=look.color, lw=1.4)
            axes.plot(100 * over["estimate"], y, look.marker, color=look.color, mfc=filled, ms=7, mew=1.4)
    axes.axvline(0, color=style.INK, lw=1)
    axes.axvline(100, color=style.INK, lw=1, ls=(0, (1, 1)))
    axes.set_yticks(range(len(arms)), [names.arm_label(arm) for arm in reversed(arms)])
    axes.set_ylim(-0.6, len(arms) - 0.4)
    margin = 0.05 * (max(shown) - min(shown))
    axes.set_xlim(min(shown) - margin, max(shown) + margin)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("share of the oracle's gain over repetition (%): 0 repetition, 100 oracle")
    marks = sorted({row["certainty"] for row in published})
    axes.set_title(
        f"filled: end of the budget; open: best checkpoint; dots: single seeds\n"
        f"band: published {min(shares):.0f}–{max(shares):.0f} % of QA accuracy (certainty {', '.join(marks)})",
        loc="left",
        color=style.MUTED,
        fontsize=8,
    )
    return drawn


def caption(run: Path) -> str | None:
    """The shares with their intervals, and in which seeds SBP fell short of random pairs."""
    results = read_results(run)
    arms = _arms(results)
    if not arms:
        return None
    sentences = []
    for checkpoint, where, _ in CHECKPOINTS:
        measure = names.at_checkpoint(names.RECOVERED, checkpoint)
        found = [(arm, results.over_seeds(measure, arm)) for arm in arms]
        stated = [f"{names.arm_label(arm)} {interval(row)}" for arm, row in found if row]
        if stated:
            sentences.append(f"Share of the oracle's gain recovered at the {where}: {', '.join(stated)}.")
    n = len(results.seeds)
    how = f"Intervals are 95 % paired bootstrap over {count(n, 'seed')}."
    return " ".join(
        [*sentences, *undefined_shares(results), *adverse_seeds(results), how if n > 1 else "One seed has no interval."]
    )


def adverse_seeds(results: Results) -> list[str]:
    """Plain sentences on the seeds in which SBP did not beat random pairs or repetition at the end of the budget."""
    measure = names.at_checkpoint(names.GAIN, names.FINAL)
    sentences = []
    for subject, other in ((names.SBP_MINUS_RANDOM_PAIRS, "random pairs"), (names.SBP, "repetition")):
        gains = results.by_seed(measure, subject)
        losing = [str(seed) for seed, row in gains.items() if row["estimate"] <= 0]
        if losing:
            seeds = f"seed {losing[0]}" if len(losing) == 1 else f"seeds {', '.join(losing)}"
            sentences.append(f"SBP did not beat {other} in {seeds} (of {len(gains)}).")
    return sentences


def undefined_shares(results: Results) -> list[str]:
    """A plain sentence for each checkpoint at which there are an oracle and arms and yet no share."""
    sentences = []
    for checkpoint, where, _ in CHECKPOINTS:
        measure = names.at_checkpoint(names.RECOVERED, checkpoint)
        arms = results.subjects(measure)
        if arms and not any(results.over_seeds(measure, arm) for arm in arms):
            sentences.append(f"At the {where} the oracle's gain is not clearly above 0: no share is defined.")
    return sentences


def _arms(results: Results) -> list[str]:
    """Arms with a defined share at either checkpoint."""
    measures = [names.at_checkpoint(names.RECOVERED, checkpoint) for checkpoint, _, _ in CHECKPOINTS]
    arms = dict.fromkeys(arm for measure in measures for arm in results.subjects(measure))
    return [arm for arm in arms if any(results.over_seeds(measure, arm) for measure in measures)]
