"""How many questions each arm answers right, between guessing and exact Bayes."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.run_files import Results, read_results
from paper_figs.wording import count, interval, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECKPOINTS = ((names.FINAL, 0.16), (names.BEST, -0.16))


@style.styled
def draw(run: Path) -> "Figure | None":
    """A row for each arm: estimate, interval over seeds, dots for single seeds; None where nothing was asked."""
    results = read_results(run)
    arms = _arms(results)
    ceiling = results.over_seeds(names.QA_CEILING, names.EXACT)
    if not arms or ceiling is None:
        return None
    drawn, axes = style.figure(1.1 + 0.45 * len(arms))
    chance = _final(results, arms[0])["null"]
    for row, arm in enumerate(arms):
        look = style.look(arm, arms)
        for checkpoint, offset in CHECKPOINTS:
            measure = names.at_checkpoint(names.QA_ACCURACY, checkpoint)
            y = len(arms) - 1 - row + offset
            dots = [100 * r["estimate"] for r in results.by_seed(measure, arm).values()]
            axes.plot(dots, [y] * len(dots), "o", color=look.color, ms=3.2, mec="none", alpha=0.55)
            over = results.over_seeds(measure, arm)
            if over["low"] is not None:
                axes.plot([100 * over["low"], 100 * over["high"]], [y, y], color=look.color, lw=1.4)
            filled = look.color if checkpoint == names.FINAL else "none"
            axes.plot(100 * over["estimate"], y, look.marker, color=look.color, mfc=filled, ms=7, mew=1.4)
    for x, name, side in ((chance, "chance", "left"), (ceiling["estimate"], "exact Bayes", "right")):
        axes.axvline(100 * x, color=style.INK, lw=1, ls=(0, (1, 1)) if side == "left" else "-")
        at = {"xy": (100 * x, 1), "xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        shift = 4 if side == "left" else -4
        axes.annotate(name, xytext=(shift, -2), ha=side, va="top", fontsize=8, **at)
    axes.set_yticks(range(len(arms)), [names.arm_label(arm) for arm in reversed(arms)])
    axes.set_ylim(-0.6, len(arms) - 0.1)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("questions answered right (%)")
    axes.set_title(
        "filled: end of the budget; open: best checkpoint; dots: single seeds",
        loc="left",
        color=style.MUTED,
        fontsize=8,
    )
    return drawn


def caption(run: Path) -> str | None:
    """Each arm's accuracy at the end of the budget, beside exact Bayes and chance."""
    results = read_results(run)
    arms = _arms(results)
    ceiling = results.over_seeds(names.QA_CEILING, names.EXACT)
    if not arms or ceiling is None:
        return None
    found = ", ".join(f"{names.arm_label(arm)} {interval(_final(results, arm))}" for arm in arms)
    measure = names.at_checkpoint(names.QA_ACCURACY, names.FINAL)
    questions = max(row["n"] for row in results.of(measure) if row["seed"] is not None)
    bayes, chance = percent(ceiling["estimate"]), percent(_final(results, arms[0])["null"])
    asked = f"{count(len(results.seeds), 'seed')}, {count(questions, 'question')} each"
    return (
        f"Questions answered right at the end of the budget: {found}; exact Bayes {bayes}, chance {chance}. A question "
        "breaks off a text before a fact that it has not mentioned; the answer is the ending of the greatest "
        f"likelihood. {asked}."
    )


def _arms(results: Results) -> list[str]:
    return results.subjects(names.at_checkpoint(names.QA_ACCURACY, names.FINAL))


def _final(results: Results, arm: str) -> dict:
    return results.over_seeds(names.at_checkpoint(names.QA_ACCURACY, names.FINAL), arm)
