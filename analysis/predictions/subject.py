"""What is judged: a synthesizer in a world, with the documents to judge it on and what its pairs were like."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from analysis.synthesizers import ExactSynthesizer, Synthesizer, TransformerSynthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.pair_sampling import PairSampling
from synthetic_worlds.world import World

if TYPE_CHECKING:
    from analysis.predictions.pairing_law import TiltedSynthesizer


@dataclass(frozen=True, eq=False)
class Subject:
    """A synthesizer under judgement. Measures are pure functions of it.

    d1: (N, L) documents, independent draws from the world, that nothing was trained on.
    seed: of all draws; a measure takes its own from ``generator("P4", seed)``.
    alone: the law of a document with nothing given, ``alone.next_token_log_probs(d)``: exact for a known synthesizer,
    the base model for a trained one.
    pairs: how the pairs that it should have learnt were made; conditioning: the most documents that it can be given.
    model: the trained network, where there is one, for measures that look inside.
    tilted: the law of its pairs where a rule made them that ``pairs`` cannot say, as far as it is known, and unseen: d1
    and d2 (M, L) each, such pairs that tuning did not see (P9); pool: (K, V) the points of a continuum of concepts that
    its training documents had (P11).
    """

    synthesizer: Synthesizer
    world: World
    d1: Tensor
    seed: int
    alone: Synthesizer
    pairs: PairSampling = PairSampling()
    conditioning: int = 1
    model: TransformerSynthesizer | None = None
    tilted: "TiltedSynthesizer | None" = None
    unseen: tuple[Tensor, Tensor] | None = None
    pool: Tensor | None = None

    @property
    def name(self) -> str:
        """The synthesizer's name."""
        return self.synthesizer.name

    @property
    def plain(self) -> bool:
        """Whether its pairs were plain related pairs, so that it should be the exact posterior predictive."""
        pairs = self.pairs
        spoilt = pairs.wrong or pairs.near_duplicate or pairs.shared_style or pairs.prior is not None
        return not spoilt and self.tilted is None and self.pool is None

    @cached_property
    def related(self) -> Tensor:
        """(N, L) for each d1 a d2 from the exact posterior predictive."""
        return exact.sample_related(self.world, generator("related", self.seed), self.d1)

    @cached_property
    def control(self) -> Tensor:
        """(N, L) for each d1 another d2 from the exact posterior predictive: exact Bayes beside `synthesized`."""
        return exact.sample_related(self.world, generator("control", self.seed), self.d1)

    @cached_property
    def synthesized(self) -> Tensor:
        """(N, L) for each d1 a d2 that the synthesizer wrote. Several measures read the same ones."""
        return self.synthesizer.sample(generator("synthesized", self.seed), self.d1)

    @cached_property
    def posterior(self) -> Tensor:
        """(N, C) p(c | d1), exact; of a world with finitely many concepts."""
        return exact.concept_log_posterior(self.world, self.d1).exp()


def known_subject(
    synthesizer: Synthesizer, world: World, n: int, seed: int, pairs: PairSampling | None = None, conditioning: int = 1
) -> Subject:
    """A synthesizer whose law is known (exact Bayes or a wrong one) on ``n`` fresh documents of the world."""
    d1 = world.sample(n, generator("judged documents", seed)).tokens
    return Subject(
        synthesizer, world, d1, seed, ExactSynthesizer(world), pairs or PairSampling(), conditioning=conditioning
    )
