"""What an ideal learner is: a fit whose statistics are exact, so that nothing is left to optimisation.

The family of laws is the world's own and only its parameters are unknown. Shapes: R replicates that are fitted at once,
each of a world of its own or of the same one; G groups of g related documents; a document is (L,) int64 tokens or (D,)
float64 numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sbp_bayes.errors import UserError
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.gaussian import LinearGaussian
from synthetic_worlds.polya import DirichletMultinomial
from synthetic_worlds.world import Process


class Model(Protocol):
    """A law of documents and of their relatives, one for each replicate."""

    def log_density(self, documents: Tensor) -> Tensor:
        """(R, B) log q(d) in nats of ``documents`` (R, B, ...)."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """(R, n, ...) documents from q(d)."""
        ...

    def sample_related(self, seeds: Tensor, generator: torch.Generator) -> Tensor:
        """(R, B, ...) one document from q(d2 | d1) for each of ``seeds`` (R, B, ...)."""
        ...


class Learner(Protocol):
    """Fits a law to documents."""

    def fit(self, groups: Tensor, weights: Tensor) -> Model:
        """The law under which ``groups`` (R, G, g, ...) are likeliest, the documents of a group sharing their concept.

        weights: (G,) how often each group counts, in every replicate. Documents alone are groups of one: real and
        synthetic ones are put one after the other, with weights that give each its share. Groups of two are pairs: the
        fit takes it for granted that they are related, and the law of d2 given d1 follows from it.
        """
        ...


class SmoothingLearner(Learner, Protocol):
    """A learner with a strength of smoothing."""

    def alternatives(self) -> Sequence[Learner]:
        """The same learner at every strength that is worth trying."""
        ...


@dataclass(frozen=True, eq=False)
class TunedLearner:
    """``learner`` at the strength of smoothing that suits other documents best, each time that it fits.

    others: (R, B, ...) documents that are in no arm; one strength is chosen for all replicates.
    """

    learner: SmoothingLearner
    others: Tensor

    def fit(self, groups: Tensor, weights: Tensor) -> Model:
        models = [alternative.fit(groups, weights) for alternative in self.learner.alternatives()]
        return max(models, key=lambda model: float(model.log_density(self.others).mean()))


def ideal_learner(worlds: Sequence[Process]) -> Learner:
    """The learner for replicates of ``worlds`` (one for each), all of one kind: bow, polya or gaussian."""
    from analysis.ideal.factors import FactorLearner
    from analysis.ideal.mixture import MixtureLearner
    from analysis.ideal.urn import UrnLearner

    learners = {BagOfWords: MixtureLearner, DirichletMultinomial: UrnLearner, LinearGaussian: FactorLearner}
    kinds = {type(world) for world in worlds}
    if len(kinds) != 1 or not kinds <= learners.keys():
        names = ", ".join(sorted({world.name for world in worlds})) or "none"
        raise UserError(f"ideal learner: worlds {names}; expected worlds of one kind: bow, polya or gaussian")
    return learners[kinds.pop()].of_worlds(worlds)
