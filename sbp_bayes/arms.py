"""Arms: which documents a fresh model is trained on, under one token budget.

An arm is real documents, to which some arms add synthetic ones. Adding an arm is adding a line here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One way to spend the token budget.

    documents: the real part, a split of the corpus (``real`` or ``oracle``), repeated to fill its share
    pairing:   for a tuned synthesizer, the pairs it learns from: ``related`` (the experiment's pairing rule) or
               ``random``; None where no synthesizer is tuned
    plugin:    for synthesis by a registered synthesizer (entry point group ``sbp_bayes.synthesizers``), its name
    base:      for synthesis by the base model itself: ``continuation`` of the first part of d1, or ``document``, one
               from nothing
    meaning:   one line for `sbp run --help` and the report
    """

    documents: str
    meaning: str
    pairing: str | None = None
    plugin: str | None = None
    base: str | None = None

    @property
    def is_synthetic(self) -> bool:
        return any((self.pairing, self.plugin, self.base))


ARMS: dict[str, Arm] = {
    "repetition": Arm("real", "D alone, repeated until the budget is spent"),
    "sbp": Arm("real", "D and text of a synthesizer tuned on related pairs", pairing="related"),
    "random-pairs": Arm("real", "D and text of a synthesizer tuned on random pairs", pairing="random"),
    "continuation": Arm("real", "D and what the base model makes of the first part of d1", base="continuation"),
    "self-generation": Arm("real", "D and documents of the base model, written from nothing", base="document"),
    "exact": Arm("real", "D and draws from the exact Bayesian predictive (worlds only)", plugin="exact"),
    "oracle": Arm("oracle", "fresh real documents for the whole budget"),
}
