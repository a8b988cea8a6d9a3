"""The predictions by name: what each says, what exact Bayes has, how it is measured, and where it applies."""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.predictions import (
    ambiguity,
    calibration,
    closeness,
    concept_keeping,
    exchangeability,
    gain_law,
    information_bound,
    martingale,
    mechanism,
    near_duplicates,
    pairing_law,
    prior_shift,
    several_documents,
    style_leak,
    temperature,
    wrong_pairs,
)
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
    "P2": Prediction(
        "Right posterior",
        "Where a document is ambiguous the synthesizer weighs its concepts by their exact odds and is no further from "
        "exact Bayes than elsewhere.",
        "a gap that does not rise with H(c|d1), log-odds of slope 1, no preference for a half of d1",
        ambiguity.measure,
        ambiguity.applies,
    ),
    "P3": Prediction(
        "Exchangeability",
        "A pair is as probable in either order. (So it is to a synthesizer that ignores d1: read it with P1.)",
        "no difference between the orders",
        exchangeability.measure,
        exchangeability.applies,
    ),
    "P4": Prediction(
        "Martingale",
        "Reading what the synthesizer writes changes the belief about the concept by nothing on average.",
        "no mean change along the posterior or at its peak, and the entropy that exact Bayes leaves",
        martingale.measure,
        martingale.applies,
    ),
    "P5": Prediction(
        "Concept kept",
        "A synthetic document keeps its seed's concept as often as a draw from the exact predictive, neither more nor "
        "less.",
        "the rate of exact draws, and a uniform rank",
        concept_keeping.measure,
        concept_keeping.applies,
    ),
    "P6": Prediction(
        "No style leak",
        "The private style of a document does not pass into what is written from it, unless pairs shared theirs.",
        "a leak as large as the share of pairs with a common style",
        style_leak.measure,
        style_leak.applies,
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
        "Copies among the pairs learnt from are written as often as they occurred, and a copy once begun is gone on "
        "with as soon as the odds say so.",
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
    "P10": Prediction(
        "Posterior in the network",
        "The network holds the posterior of the concept at the separator, more linearly than a random network or word "
        "counts do, and writes d2 from there.",
        "all of the posterior explained, of a one-hot its ceiling; all of the law moved, all of the gain lost",
        mechanism.measure,
        mechanism.applies,
    ),
    "P11": Prediction(
        "New prior, foreign documents",
        "Pairs with other frequencies of concepts shift the odds by their ratio, documents of no concept get the "
        "posterior that exact Bayes would form, and the prior over a continuum is the pool of concepts seen.",
        "the new prior's full weight, no gap on foreign documents, no part of the way from pool to population",
        prior_shift.measure,
        prior_shift.applies,
    ),
    "P12": Prediction(
        "Gain for pretraining",
        "What true pairs give beyond random ones is nothing where documents say all or nothing of their concept, and "
        "most in between.",
        "no gain in null worlds and where documents identify their concept",
        gain_law.measure,
        gain_law.applies,
    ),
    "P13": Prediction(
        "Information bound",
        "The synthesizer claims no more knowledge of a related document than one document gives of another.",
        "I(d1;d2) on real pairs, and of what it writes the claim that its own law makes",
        information_bound.measure,
        information_bound.applies,
    ),
    "P14": Prediction(
        "Several documents",
        "Evidence of several documents adds up in any order and counts in full, and chains of synthetic documents "
        "forget their concept as fast as exact Bayes.",
        "no effect of order, one document's evidence each, the second eigenvalue of the concept kernel",
        several_documents.measure,
        several_documents.applies,
    ),
    "P15": Prediction(
        "Temperature",
        "Sampled at temperature 1, documents have the prior's concepts and the surprise that the law expects.",
        "no divergence from the prior, the surprise of exact Bayes, a sampler true to its law",
        temperature.measure,
        temperature.applies,
    ),
    "P16": Prediction(
        "Calibration",
        "The belief implied by what the synthesizer writes is calibrated: its ranks are uniform and its sets cover.",
        "uniform ranks, nominal coverage",
        calibration.measure,
        calibration.applies,
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
