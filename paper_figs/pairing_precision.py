"""How often a pair really is related, by pairing rule, beside chance."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.run_files import Results, read_results
from paper_figs.wording import count, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GIVEN = ("truth", "random")  # rules whose precision is no finding


@style.styled
def draw(run: Path) -> "Figure | None":
    """A bar for each rule, dots for seeds, a line at chance; None unless some rule had to find its pairs."""
    results = read_results(run)
    rules = _rules(results)
    if not rules:
        return None
    drawn, axes = style.figure(0.9 + 0.45 * len(rules))
    for row, rule in enumerate(reversed(rules)):
        over = results.over_seeds(names.PAIRING_PRECISION, rule)
        look = style.look(names.RANDOM_PAIRS if rule == "random" else names.SBP, [])
        axes.barh(row, 100 * over["estimate"], height=0.55, color=look.color)
        dots = [100 * r["estimate"] for r in results.by_seed(names.PAIRING_PRECISION, rule).values()]
        axes.plot(dots, [row] * len(dots), "|", color=style.INK, ms=9)
        end = (100 * over["estimate"], row)
        axes.annotate(percent(over["estimate"]), end, xytext=(6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(rules)), [f"{rule} pairs" for rule in reversed(rules)])
    axes.set_xlim(0, 108)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("pairs that share their concept or headword (%)")
    return drawn


def caption(run: Path) -> str | None:
    """Precision of each rule and of chance."""
    results = read_results(run)
    rules = _rules(results)
    if not rules:
        return None
    rows = {rule: results.over_seeds(names.PAIRING_PRECISION, rule) for rule in rules}
    kept = {rule: results.over_seeds(names.PAIRS, rule) for rule in rules}
    listed = ", ".join(
        f"{rule} {percent(row['estimate'])} of {kept[rule]['estimate']:,.0f} pairs" for rule, row in rows.items()
    )
    chance = next(iter(rows.values()))["null"]
    return (
        f"Share of pairs whose documents share their concept or headword: {listed}; two documents at random would in "
        f"{100 * chance:.2g} % of cases (mean of {count(len(results.seeds), 'seed')})."
    )


def _rules(results: Results) -> list[str]:
    rules = results.subjects(names.PAIRING_PRECISION)
    return rules if any(rule not in GIVEN for rule in rules) else []
