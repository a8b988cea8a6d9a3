"""The synthesizer that is exactly right for the pairs it was given, whatever they are: noisy, copied, of one style."""

import torch
from torch import Tensor

from analysis.synthesizers import sample_token_by_token
from synthetic_worlds.pair_law import pair_next_token_log_probs
from synthetic_worlds.pair_sampling import PairSampling
from synthetic_worlds.world import World


class PairLawSynthesizer:
    """p(d2 | d1) of pairs sampled with ``pairs``; with related pairs alone it is exact Bayes.

    It takes one conditioning document, as pairs have one. Raises WorldError where an option does not apply.
    """

    def __init__(self, world: World, pairs: PairSampling):
        pairs.check(world)
        self.world, self.pairs, self.name = world, pairs, "exact for its pairs"

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        (d1,) = given
        return pair_next_token_log_probs(self.world, d2, d1, self.pairs)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        (d1,) = given
        return sample_token_by_token(self, d1.shape[1], generator, d1)


def sample_related_partner(world: World, pairs: PairSampling, d1: Tensor, generator: torch.Generator) -> Tensor:
    """(B, L) a related partner of each ``d1``, whatever else pairs may be: by the posterior of the prior they have."""
    prior = world.prior_belief(len(d1)) if pairs.prior is None else pairs.prior.log().expand(len(d1), -1)
    return world.sample_from_belief(world.update_belief(prior, d1)[0], generator).tokens
