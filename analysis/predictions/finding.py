"""One measured quantity of a prediction: the estimate, how sure it is, what exact Bayes has, and how far is too far."""

import math
from dataclasses import dataclass

from torch import Tensor

from analysis.predictions.margins import margin


@dataclass(frozen=True)
class Finding:
    """A quantity that a prediction fixes, as one synthesizer has it.

    prediction: "P4"; quantity: its name, unique within the prediction, as in margins.toml; subject: the synthesizer.
    estimate, se: in ``unit``, over ``n`` documents; se is that of estimate - null where both are estimated.
    null: what exact Bayes has, exactly (0, 1, ...) or as measured beside it on the same documents.
    margin: half-width of the region that counts as equal; test: "equal", "at most" (estimate <= null + margin is as
    predicted) or "at least" (estimate >= null - margin is).
    df: degrees of freedom that se was estimated with, finite where a few seeds vary more than their documents.
    control: whether nothing in its pairs put the prediction to the test, so that being within the margin supports
    nothing; being outside still refutes.
    """

    prediction: str
    quantity: str
    subject: str
    estimate: float
    se: float
    n: int
    unit: str
    null: float
    margin: float
    test: str
    df: float = math.inf
    control: bool = False

    @property
    def effect(self) -> float:
        """(estimate - null) / margin: within -1 and 1 counts as equal."""
        return (self.estimate - self.null) / self.margin


def finding(
    prediction: str, quantity: str, subject: str, estimate: float, se: float, n: int, null: float = 0.0
) -> Finding:
    """A finding with the unit, margin and test that margins.toml fixed for it."""
    fixed = margin(prediction, quantity)
    around = fixed.around(float(null))
    return Finding(
        prediction, quantity, subject, float(estimate), float(se), n, fixed.unit, float(null), around, fixed.test
    )


def mean_finding(prediction: str, quantity: str, subject: str, values: Tensor, null: float = 0.0) -> Finding:
    """The mean of ``values`` (N,), one a document, with its standard error; infinite where a value is."""
    n = len(values)
    estimate = float(values.mean())
    se = float(values.std()) / math.sqrt(n) if math.isfinite(estimate) else math.inf
    return finding(prediction, quantity, subject, estimate, se, n, null)


def paired_finding(prediction: str, quantity: str, subject: str, values: Tensor, control: Tensor) -> Finding:
    """The mean of ``values`` (N,) beside that of exact Bayes on the same documents, ``control`` (N,).

    The null is the control's mean, and the standard error that of the mean difference.
    """
    null = float(control.mean())
    difference = mean_finding(prediction, quantity, subject, values - control)
    return finding(prediction, quantity, subject, null + difference.estimate, difference.se, difference.n, null)


def ratio_finding(
    prediction: str, quantity: str, subject: str, above: Tensor, below: Tensor, null: float = 0.0
) -> Finding:
    """mean(above) / mean(below), one value a document each (N,); the standard error by the delta method."""
    n, ratio, scale = len(above), float(above.mean() / below.mean()), float(below.mean())
    se = float((above - ratio * below).std()) / (abs(scale) * math.sqrt(n)) if math.isfinite(ratio) else math.inf
    return finding(prediction, quantity, subject, ratio, se, n, null)
