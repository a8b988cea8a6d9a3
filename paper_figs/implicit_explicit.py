"""Bayes gap against the number of pairs: the transformer beside explicit Bayes with learnt parameters."""

from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import names, style
from paper_figs.run_files import Results, read_results
from paper_figs.wording import count, joined, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {"bow": "bag-of-words mixture (W1)", "hmm": "concept hidden Markov model (W4)"}
LABELS = {names.SYNTHESIZER: "transformer (implicit)"}


@style.styled
def draw(run: Path) -> "Figure | None":
    """A panel a world, both axes logarithmic: mean over seeds, a dot a seed; None without such results."""
    results = read_results(run)
    worlds = _worlds(results)
    if not worlds:
        return None
    drawn, panels = style.figure(3.1, columns=len(worlds), sharey=True, squeeze=False)
    subjects = results.subjects(names.BAYES_GAP_FRACTION)
    for axes, world in zip(panels[0], worlds, strict=True):
        numbers: set[float] = set()
        for subject in subjects:
            look, curve = style.look(subject, subjects), _curve(results, world, subject)
            numbers |= set(curve)
            means = [sum(shares) / len(shares) for shares in curve.values()]
            label = LABELS.get(subject, names.synthesizer_label(subject))
            axes.plot(list(curve), means, color=look.color, ls=look.dash, marker=look.marker, label=label)
            for at, shares in curve.items():
                axes.plot([at] * len(shares), shares, ls="", marker=".", ms=3, color=look.color, alpha=0.7)
        axes.axhline(1, color=style.MUTED, lw=1)
        axes.set(xscale="log", yscale="log", xlabel="pairs (d1, d2), each of documents of its own")
        axes.set_title(TITLES.get(world.partition("-")[0], world), loc="left")
        axes.set_xticks(sorted(numbers), [f"{number:,.0f}" for number in sorted(numbers)])
        axes.minorticks_off()
    first = panels[0][0]
    first.set_ylabel("Bayes gap (% of I(d1;d2))")
    low, high = first.get_ylim()
    ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0) if low <= tick <= high]
    first.set_yticks(ticks, [percent(tick) for tick in ticks])
    first.minorticks_off()
    right = panels[0][-1]
    right.annotate(
        "ignoring d1", (1, 1), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
        ha="right", color=style.MUTED,
    )  # fmt: skip
    handles, labels = first.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn


def caption(run: Path) -> str | None:
    """The gaps at the largest number of pairs, and how many seeds and documents they rest on."""
    results = read_results(run)
    worlds = _worlds(results)
    if not worlds:
        return None
    sentences = []
    for world in worlds:
        found = {subject: _curve(results, world, subject) for subject in results.subjects(names.BAYES_GAP_FRACTION)}
        most = max(max(curve) for curve in found.values())
        shares = [
            f"{LABELS.get(subject, names.synthesizer_label(subject))} {100 * sum(at) / len(at):.2g} %"
            for subject, curve in found.items()
            if (at := curve.get(most))
        ]
        sentences.append(f"{world} at {most:,.0f} pairs: {joined(shares)}")
    rows = results.of(names.BAYES_GAP_FRACTION)
    return (
        "Bayes gap as a share of what ignoring d1 costs, every synthesizer fitted to the same pairs, an eighth of them "
        f"held out to stop early. {'; '.join(sentences)}. Exact Bayes is 0, below these logarithmic axes. Mean of "
        f"{count(len(results.seeds), 'seed')} (dots: each seed has a world of its own), "
        f"{count(max(row['n'] for row in rows), 'document')} each."
    )


def _worlds(results: Results) -> list[str]:
    rows = [row for row in results.of(names.BAYES_GAP_FRACTION, names.EXPLICIT) if row["at"] is not None]
    return list(dict.fromkeys(row["world"] for row in rows))


def _curve(results: Results, world: str, subject: str) -> dict[float, list[float]]:
    """Number of pairs -> each seed's gap as a share of I(d1;d2)."""
    rows = [row for row in results.of(names.BAYES_GAP_FRACTION, subject) if row["world"] == world]
    numbers = sorted({row["at"] for row in rows})
    return {at: [row["estimate"] for row in rows if row["at"] == at] for at in numbers}
