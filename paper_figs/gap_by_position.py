"""The Bayes gap at each position of d2, the synthesizer beside the deliberately wrong ones."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paper_figs import names, style
from paper_figs.run_files import read_results
from paper_figs.wording import count, nats, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TINY = 1e-12  # nats: a logarithmic axis has no zero
FLOOR = 1e-4  # nats: the axis ends here, or at half of the synthesizer's least gap


@style.styled
def draw(run: Path) -> "Figure | None":
    """Mean over seeds by position, on a logarithmic axis, band of two standard errors; None without a Bayes gap."""
    results = read_results(run)
    subjects = [s for s in results.subjects(names.BAYES_GAP_AT_POSITION) if s != names.EXACT]
    if not subjects:
        return None
    drawn, axes = style.figure(3.6)
    ends, lowest = [], FLOOR
    for subject in subjects:
        rows = [r for r in results.of(names.BAYES_GAP_AT_POSITION, subject) if r["seed"] is None]
        rows = sorted((r for r in rows if r["estimate"] is not None), key=lambda r: r["at"])
        if not rows:
            continue
        look = style.look(subject, subjects)
        at = np.array([r["at"] for r in rows]) + 1
        mean = np.maximum([r["estimate"] for r in rows], TINY)
        ours = subject in (names.SYNTHESIZER, names.RANDOM_PAIRS_SYNTHESIZER)
        axes.plot(
            at, mean, color=look.color, ls=look.dash, marker=look.marker, ms=4, markevery=max(1, len(at) // 8),
            lw=2.2 if ours else 1.2, zorder=3 if ours else 2,
        )  # fmt: skip
        if ours:
            lowest = min(lowest, float(mean.min()) / 2)
        if rows[0]["se"] is not None:
            se = np.array([r["se"] for r in rows])
            axes.fill_between(at, np.maximum(mean - 2 * se, TINY), mean + 2 * se, color=look.color, alpha=0.15, lw=0)
        ends.append((at[-1], float(mean[-1]), names.synthesizer_label(subject), look.color))
    axes.set_yscale("log")
    axes.set_ylim(bottom=lowest)
    token = results.of(names.BAYES_GAP_AT_POSITION)[0]["unit"].removeprefix("nats/")
    axes.set_xlabel(f"position in d2 ({token}s)")
    axes.set_ylabel(f"KL from the exact predictive (nats/{token})")
    axes.margins(x=0.01)
    axes.xaxis.get_major_locator().set_params(integer=True)
    style.label_ends(axes, ends)
    return drawn


def caption(run: Path) -> str | None:
    """The synthesizer's gap in nats a document, beside what ignoring d1 and the MAP plug-in cost."""
    results = read_results(run)
    if not results.of(names.BAYES_GAP_AT_POSITION):
        return None
    measures = (names.BAYES_GAP, names.BAYES_GAP_FRACTION)
    ours, share = (results.over_seeds(measure, names.SYNTHESIZER) for measure in measures)
    finding = ""
    if ours:
        of_information = f", {percent(share['estimate'])} of I(d1;d2)" if share else ""
        finding = f"The synthesizer's Bayes gap is {nats(ours['estimate'])} nats a document{of_information}. "
    others = []
    for subject in (names.RANDOM_PAIRS_SYNTHESIZER, names.PRIOR, names.MAP):
        total = results.over_seeds(names.BAYES_GAP, subject)
        if total:
            others.append(f"{names.synthesizer_label(subject)} {nats(total['estimate'])}")
    beside = f"Beside it: {', '.join(others)}. " if others else ""
    documents = max(r["n"] for r in results.of(names.BAYES_GAP) if r["seed"] is not None)
    return (
        f"{finding}{beside}Exact Bayes is 0 at every position, below this logarithmic axis. Mean of "
        f"{count(len(results.seeds), 'seed')}, {count(documents, 'document')} each; bands are two standard errors."
    )
