"""Findings of several seeds as one, and verdicts on them.

Each seed has a world, documents and a synthesizer of its own, so that a quantity varies between seeds by more than its
documents explain. Its standard error is that of the mean over seeds, from their spread where that is larger than what
the documents explain, else from the documents. The part of the variance that only the spread shows was estimated from
few seeds: by Satterthwaite's (1946) rule it leaves (seeds - 1) (all / that part)^2 degrees of freedom, seeds - 1 where
the documents are certain and infinitely many where they explain it all. What every seed says by itself, with the error
of its documents, counts as well (`verdict.decide`).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from analysis.predictions.catalogue import PREDICTIONS
from analysis.predictions.finding import Finding
from analysis.predictions.stored import FILE, Measured, read_findings, write_findings
from analysis.predictions.verdict import (
    ALPHA,
    CONTROL,
    INCONCLUSIVE,
    READ_WITH,
    REFUTED,
    SUPPORTED,
    Decision,
    by_prediction,
    decide,
)
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, write_json

VERDICTS = "verdicts.json"
SUPPORTED_WORDS = {
    "equal": "As exact Bayes has it, to within {margin}.",
    "at most": "No more than {margin} above exact Bayes.",
    "at least": "No more than {margin} below exact Bayes.",
}


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one quantity of one synthesizer, over seeds.

    verdict: of this quantity; prediction_verdict: of its prediction, all quantities together. low, high: the 90 %
    interval that two one-sided tests at 5 % go with; with estimate and null None where not finite. n: documents, all
    seeds together; cell: of a sweep, else None; sentence: in plain words.
    """

    cell: str | None
    prediction: str
    title: str
    quantity: str
    subject: str
    world: str
    estimate: float | None
    low: float | None
    high: float | None
    null: float | None
    margin: float
    test: str
    unit: str
    verdict: str
    prediction_verdict: str
    n: int
    seeds: list[int]
    sentence: str


def pooled(findings: Sequence[Finding]) -> Finding:
    """One quantity of several seeds as one finding: means of estimate, null and margin; the module has the error."""
    count = len(findings)
    estimates, nulls, errors = (
        np.array([getattr(found, name) for found in findings], float) for name in ("estimate", "null", "se")
    )
    margins = [found.margin for found in findings]  # a relative one differs by seed, and equal ones stay as they are
    margin = margins[0] if len(set(margins)) == 1 else _mean(np.array(margins))
    one = replace(
        findings[0],
        estimate=_mean(estimates),
        null=_mean(nulls),
        n=sum(found.n for found in findings),
        margin=margin,
    )
    if not np.isfinite([*estimates, *nulls]).all():
        return replace(one, se=math.inf)
    within = float((errors**2).sum()) / count**2
    if count == 1:
        return replace(one, se=math.sqrt(within))
    between = float((estimates - nulls).var(ddof=1)) / count
    if not between > within:
        return replace(one, se=math.sqrt(within))
    return replace(one, se=math.sqrt(between), df=(count - 1) * (between / (between - within)) ** 2)


def verdicts(rows: Sequence[Measured], cell: str | None = None) -> list[Verdict]:
    """The verdict on every quantity, subject by subject in order of appearance; each subject is a family of its own."""
    by_subject: dict[str, dict[tuple[str, str], list[Measured]]] = {}
    for row in rows:
        quantities = by_subject.setdefault(row.finding.subject, {})
        quantities.setdefault((row.finding.prediction, row.finding.quantity), []).append(row)
    found = []
    for quantities in by_subject.values():
        single = [[row.finding for row in group] for group in quantities.values()]
        places = [Place([row.world for row in group], [row.seed for row in group]) for group in quantities.values()]
        found += family([pooled(findings) for findings in single], places, cell, single)
    return found


@dataclass(frozen=True)
class Place:
    """Where a finding was made: labels of worlds and seeds, any number of times each."""

    worlds: Sequence[str]
    seeds: Sequence[int]


def family(
    findings: Sequence[Finding],
    places: Sequence[Place],
    cell: str | None = None,
    seeds: Sequence[Sequence[Finding]] | None = None,
) -> list[Verdict]:
    """The verdicts on a family of findings, over all their seeds already or of one; ``seeds`` as in `decide`."""
    decisions = decide(findings, seeds=seeds)
    together = by_prediction(decisions)
    return [
        _verdict(decision, place, together[decision.finding.prediction], cell)
        for decision, place in zip(decisions, places, strict=True)
    ]


def sentence(decision: Decision) -> str:
    """What was found, in plain words, for a reader who knows what the quantity is."""
    found = decision.finding
    if decision.outcome == CONTROL:
        return "A control: nothing put it to the test here, and it is not refuted."
    if decision.outcome == INCONCLUSIVE and decision.p_outside <= ALPHA:
        return f"Within {found.margin:.3g}, but so is what ignores d1: {READ_WITH[found.prediction]} is refuted."
    if decision.outcome == INCONCLUSIVE:
        return f"Too few documents or seeds to tell whether it is within {found.margin:.3g} of exact Bayes."
    if decision.outcome == SUPPORTED:
        return SUPPORTED_WORDS[found.test].format(margin=f"{found.margin:.3g}")
    if math.isinf(found.estimate):
        return "Infinite: it rules out what exact Bayes holds possible."
    side = "above" if found.estimate > found.null else "below"
    return f"{abs(found.effect):.1f} margins {side} exact Bayes."


def write_verdicts(run: Path) -> None:
    """Gather ``seeds/SEED/findings.json`` of a run folder into its ``findings.json`` and ``verdicts.json``.

    Nothing is written where no seed has findings. Running it twice changes nothing.
    """
    files = sorted((run / "seeds").glob(f"*/{FILE}"), key=lambda file: int(file.parent.name))
    if files:
        rows = [row for file in files for row in read_findings(file)]
        write_findings(run, rows)
        write_json(run / VERDICTS, [asdict(verdict) for verdict in verdicts(rows)])


def read_verdicts(run: Path) -> list[Verdict]:
    """Read ``verdicts.json`` back. Raises UserError where it is no such file."""
    file = run / VERDICTS
    try:
        return [Verdict(**row) for row in read_json(file)]
    except TypeError as error:
        raise UserError(f"{file}: not a table of verdicts ({error})") from error


def refuted_first(rows: Sequence[Verdict]) -> list[Verdict]:
    """Refuted quantities, then undecided, supported ones and controls; otherwise in the order given."""
    order = (REFUTED, INCONCLUSIVE, SUPPORTED, CONTROL)
    return sorted(rows, key=lambda row: order.index(row.verdict))


def deciding(rows: Sequence[Verdict]) -> list[Verdict]:
    """Of each prediction, cell by cell and subject by subject, the quantity that its verdict rests on: the one furthest
    from exact Bayes in margins among those with the prediction's verdict."""
    groups: dict[tuple, list[Verdict]] = {}
    for row in rows:
        if row.verdict == row.prediction_verdict:
            groups.setdefault((row.cell, row.subject, row.prediction), []).append(row)
    return [max(group, key=_distance) for group in groups.values()]


def _distance(row: Verdict) -> float:
    if row.estimate is None or row.null is None:
        return math.inf
    return abs(row.estimate - row.null) / row.margin


def _verdict(decision: Decision, place: Place, together: str, cell: str | None) -> Verdict:
    found = decision.finding
    return Verdict(
        cell=cell,
        prediction=found.prediction,
        title=PREDICTIONS[found.prediction].title,
        quantity=found.quantity,
        subject=found.subject,
        world=", ".join(dict.fromkeys(place.worlds)),
        estimate=_finite(found.estimate),
        low=_finite(decision.low),
        high=_finite(decision.high),
        null=_finite(found.null),
        margin=found.margin,
        test=found.test,
        unit=found.unit,
        verdict=decision.outcome,
        prediction_verdict=together,
        n=found.n,
        seeds=sorted(set(place.seeds)),
        sentence=sentence(decision),
    )


def _mean(values: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, as it should be
        return float(values.mean())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
