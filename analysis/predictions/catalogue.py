"""The predictions by name: what each says, what exact Bayes has, how it is measured, and where it applies."""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.predictions import closeness
from analysis.predictions.finding import Finding
from analysis.predictions.subject import Subject


@dataclass(frozen=True)
class Prediction:
    """title: a few words; statement: one plain sentence that a measurement can contradict; null: what exact Bayes has.

    measure: a pure function of the subject; applies: None where it can be measured, else why not, in words.
    """

    title: str
    statement: str
    null: str
    measure: Callable[[Subject], list[Finding]]
    applies: Callable[[Subject], str | None]


PREDICTIONS: dict[str, Prediction] = {
    "P1": Prediction(
        "Bayes gap",
        "The synthesizer's law of a related document is the exact posterior predictive, not the plug-in of the most "
        "probable concept.",
        "a gap of 0, and no part of the way to the plug-in",
        closeness.measure,
        closeness.applies,
    ),
}


def judge(subject: Subject) -> list[Finding]:
    """The findings of all predictions that apply to ``subject``, in the order of `PREDICTIONS`."""
    return [
        found
        for prediction in PREDICTIONS.values()
        if prediction.applies(subject) is None
        for found in prediction.measure(subject)
    ]
