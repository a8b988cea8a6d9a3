"""SUPPORTED, REFUTED, INCONCLUSIVE or CONTROL: equivalence tests against margins, Holm's correction over a family.

Each finding has two null hypotheses. "Outside": the quantity lies outside the margin; rejecting it supports the
prediction (two one-sided tests, Schuirmann 1987). "Inside": it lies within; rejecting it refutes. A large sample
decides between them, a small one leaves both standing: INCONCLUSIVE.

The family is everything measured on one subject. Holm's procedure (1979) is applied to the "inside" hypotheses of the
family and, apart from them, to the "outside" ones. Whatever the dependence between findings, the probability that any
quantity truly within its margin is REFUTED is then at most ALPHA, and so is that of any SUPPORTED that truly lies
outside. On exact Bayes every quantity lies in the middle of its margin, so that false refutations are rarer still.

Two things are no support. A control (`is_control`), such as that a synthesizer of clean pairs writes no copies: it
stays among the "inside" hypotheses, since outside its margin it refutes like any other, and is left out of the
"outside" ones, since within it has nothing to support: CONTROL. And what ignoring d1 gets right as well (`READ_WITH`),
where the prediction that finds out ignoring d1 is refuted: INCONCLUSIVE.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtr, stdtrit

from analysis.predictions.finding import Finding
from analysis.predictions.margins import only_a_control

SUPPORTED, REFUTED, INCONCLUSIVE, CONTROL = "SUPPORTED", "REFUTED", "INCONCLUSIVE", "CONTROL"
ALPHA = 0.05
READ_WITH = {"P3": "P1"}  # what ignores d1 is the same in either order, and refuted by the Bayes gap


@dataclass(frozen=True)
class Decision:
    """A finding with Holm-adjusted p-values of "outside" (small: SUPPORTED; 1 for a control) and "inside" (REFUTED).

    low, high: the interval of estimate that two one-sided tests at ALPHA go with, 1 - 2 ALPHA, unadjusted.
    """

    finding: Finding
    p_outside: float
    p_inside: float
    low: float
    high: float
    outcome: str


def decide(
    family: Sequence[Finding], alpha: float = ALPHA, seeds: Sequence[Sequence[Finding]] | None = None
) -> list[Decision]:
    """The outcome of each finding of a subject, in the order given.

    seeds: for each finding, those of the single seeds that it is the mean of. Then a verdict may also rest on what
    every seed says by itself: the largest of their p-values tests that at least one of these synthesizers is otherwise
    (an intersection-union test, Berger 1982), outside the margin all on one side. That is a claim about these
    synthesizers, at level alpha; about others of the same kind it can err more often, the fewer the seeds. Few seeds
    estimate their own spread too badly for the mean to tell anything: ten margins away in each of three is no doubt.
    """
    alone = seeds or [[] for _ in family]
    tested = [(f, own) for f, own in zip(family, alone, strict=True) if not is_control(f)]
    supporting = iter(holm([min(p_outside(f), _all(p_outside, own)) for f, own in tested]))
    outside = [1.0 if is_control(f) else next(supporting) for f in family]
    inside = holm([min(p_inside(f), _all(p_inside, own) if _one_side(own) else 1.0)
                   for f, own in zip(family, alone, strict=True)])  # fmt: skip
    return _read_together(
        [_decision(f, out, within, alpha) for f, out, within in zip(family, outside, inside, strict=True)]
    )


def is_control(found: Finding) -> bool:
    """Whether being within the margin supports nothing: nothing in its pairs put it to the test (`Finding.control`), or
    nothing ever can (margins.toml). The latter is no part of a stored finding, so that it can be judged anew."""
    return found.control or only_a_control(found.prediction, found.quantity)


def _all(p_value: Callable[[Finding], float], seeds: Sequence[Finding]) -> float:
    """p-value of "at least one of the seeds is otherwise", 1 without seeds."""
    return max(map(p_value, seeds), default=1.0)


def _one_side(seeds: Sequence[Finding]) -> bool:
    """Whether all seeds lie on one side of exact Bayes."""
    return len({found.estimate > found.null for found in seeds}) <= 1


def by_prediction(decisions: Sequence[Decision]) -> dict[str, str]:
    """Prediction -> outcome: REFUTED if any of its findings is, SUPPORTED if all are but controls, CONTROL if it has no
    others, else INCONCLUSIVE."""
    outcomes: dict[str, set[str]] = {}
    for decision in decisions:
        outcomes.setdefault(decision.finding.prediction, set()).add(decision.outcome)
    return {prediction: _together(found) for prediction, found in outcomes.items()}


def p_outside(found: Finding) -> float:
    """p-value of "the quantity lies outside the margin", the larger of two one-sided tests where there are two."""
    away, margin = found.estimate - found.null, found.margin
    sides = {"equal": (margin - away, margin + away), "at most": (margin - away,), "at least": (margin + away,)}
    return max(_tail(room, found.se, found.df) for room in sides[found.test])


def p_inside(found: Finding) -> float:
    """p-value of "the quantity lies within the margin", at the border, where it is largest."""
    away, margin = found.estimate - found.null, found.margin
    if found.test == "at most":
        return _tail(away - margin, found.se, found.df)
    if found.test == "at least":
        return _tail(-away - margin, found.se, found.df)
    return min(1.0, sum(_tail(room, found.se, found.df) for room in (abs(away) - margin, abs(away) + margin)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: reject where the adjusted value is at most alpha."""
    adjusted, reached = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = reached
    return adjusted


def _decision(found: Finding, outside: float, inside: float, alpha: float) -> Decision:
    undecided = CONTROL if is_control(found) else INCONCLUSIVE
    outcome = REFUTED if inside <= alpha else SUPPORTED if outside <= alpha else undecided
    width = float(stdtrit(found.df, 1 - ALPHA)) * found.se
    infinite = math.isinf(found.estimate)
    low, high = (found.estimate, found.estimate) if infinite else (found.estimate - width, found.estimate + width)
    return Decision(found, outside, inside, low, high, outcome)


def _read_together(decisions: list[Decision]) -> list[Decision]:
    """The same, with no support for what another prediction of `READ_WITH`, refuted, takes the meaning from."""
    refuted = {decision.finding.prediction for decision in decisions if decision.outcome == REFUTED}
    return [
        replace(decision, outcome=INCONCLUSIVE)
        if decision.outcome == SUPPORTED and READ_WITH.get(decision.finding.prediction) in refuted
        else decision
        for decision in decisions
    ]


def _together(outcomes: set[str]) -> str:
    if REFUTED in outcomes:
        return REFUTED
    tested = outcomes - {CONTROL}
    if not tested:
        return CONTROL
    return SUPPORTED if tested == {SUPPORTED} else INCONCLUSIVE


def _tail(distance: float, se: float, df: float) -> float:
    """P(T >= distance / se) of Student's T with ``df`` degrees of freedom, infinitely many included; 1 where nothing is
    known."""
    if math.isinf(distance):
        return 0.0 if distance > 0 else 1.0
    if math.isnan(distance) or math.isnan(se):
        return 1.0
    if se == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stdtr(df, -distance / se))
