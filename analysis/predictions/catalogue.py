"""The predictions by name: what each says, what exact Bayes has, how it is measured, and where it applies."""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.predictions import closeness, near_duplicates, pairing_law, wrong_pairs
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
    "P7": Prediction(
        "Wrong pairs",
        "Wrong pairs among those learnt from make a mixture of whole documents whose weight follows the evidence along "
        "d2, not a fixed mixture of tokens.",
        "the share of wrong pairs there was, evidence to the power of 1, and exact Bayes' change of mind",
        wrong_pairs.measure,
        wrong_pairs.applies,
    ),
    "P8": Prediction(
        "Near-duplicates",
        "Copies among the pairs learnt from are written as often as they occurred, and a copy once begun is gone on with "
        "as soon as the odds say so.",
        "the share of copies there was; exact Bayes' weight and take-over",
        near_duplicates.measure,
        near_duplicates.applies,
    ),
    "P9": Prediction(
        "Pairing is the model",
        "The synthesizer has learnt the law of the pairs it was given, whatever made them, not relatedness as such.",
        "no gap to the law of its own pairs; that law's distance from exact Bayes and dependence on d1",
        pairing_law.measure,
        pairing_law.applies,
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
