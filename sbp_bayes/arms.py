"""Arms: which documents a fresh model is trained on, under one token budget.

An arm is real documents, to which some arms add synthetic ones. Adding an arm is adding a line here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One way to spend the token budget.

    documents: the real part, a split of the corpus (``real`` or ``oracle``), repeated to fill its share
    meaning:   one line for `sbp run --help` and the report

    Who writes the synthetic part, where there is one:
    pairing:   a synthesizer tuned on pairs: ``related`` (the experiment's pairing rule), ``random``, or ``repaired``,
               nearest neighbours by the activations of the model that ``start`` names
    start:     what that synthesizer is tuned from: ``base``, ``scratch`` (random weights), or an arm, whose model it is
    several:   it is given several documents, not one
    plugin:    a registered synthesizer (entry point group ``sbp_bayes.synthesizers``), by its name
    base:      the base model itself: ``continuation`` of the first part of d1, or ``document``, one from nothing

    Without one:
    joined:    related documents of D follow one another in a context: ``pairs``, in place of the synthetic part, or
               ``path``, all of D
    tuned:     weight decay and length are chosen on validation documents
    compute:   an arm whose FLOPs, with those of all stages before it, are spent, instead of the token budget
    """

    documents: str
    meaning: str
    pairing: str | None = None
    start: str = "base"
    several: bool = False
    plugin: str | None = None
    base: str | None = None
    joined: str | None = None
    tuned: bool = False
    compute: str | None = None

    @property
    def is_synthetic(self) -> bool:
        return any((self.pairing, self.plugin, self.base))

    @property
    def pairings(self) -> set[str]:
        """The pairs that it needs."""
        return ({self.pairing} if self.pairing else set()) | ({"related"} if self.joined else set())


ARMS: dict[str, Arm] = {
    "repetition": Arm("real", "D alone, repeated until the budget is spent"),
    "sbp": Arm("real", "D and text of a synthesizer tuned on related pairs", pairing="related"),
    "random-pairs": Arm("real", "D and text of a synthesizer tuned on random pairs", pairing="random"),
    "continuation": Arm("real", "D and what the base model makes of the first part of d1", base="continuation"),
    "self-generation": Arm("real", "D and documents of the base model, written from nothing", base="document"),
    "scratch-synthesizer": Arm("real", "sbp, its synthesizer tuned from random weights", "related", start="scratch"),
    "several": Arm("real", "sbp, its synthesizer given several related documents", "related", several=True),
    "round-2": Arm("real", "sbp again, its synthesizer tuned from the model of arm sbp", "related", start="sbp"),
    "round-2-repaired": Arm("real", "round-2, on neighbours by the activations of that model", "repaired", start="sbp"),
    "concatenation": Arm("real", "D and its related pairs as one text each; nothing is synthesized", joined="pairs"),
    "in-context": Arm("real", "D alone, related documents one after the other in a context", joined="path"),
    "repetition-tuned": Arm("real", "repetition, weight decay and length chosen on validation documents", tuned=True),
    "repetition-compute": Arm("real", "repetition for as many FLOPs as sbp takes from end to end", compute="sbp"),
    "exact": Arm("real", "D and draws from the exact Bayesian predictive (worlds only)", plugin="exact"),
    "oracle": Arm("oracle", "fresh real documents for the whole budget"),
}
