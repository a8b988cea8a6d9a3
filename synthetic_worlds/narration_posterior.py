"""What documents say of a person, attribute by attribute, and the floor that this sets under making things up."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic_worlds.exact import map_beliefs
from synthetic_worlds.narration import Narration


def attribute_log_posterior(world: Narration, *documents: Tensor) -> Tensor:
    """(B, A, K) log p(a_i = k | documents), each of ``documents`` (B, L') sentence symbols about the same person.

    A row with an impossible document is -inf throughout.
    """
    return map_beliefs(world, world.forest.log_marginals, *documents)


def collision_probability(world: Narration, *documents: Tensor) -> tuple[Tensor, Tensor]:
    """(B, A) and (B,) chance that two draws from p(a | documents) agree on each attribute, and on all of them."""
    each = attribute_log_posterior(world, *documents).exp().square().sum(2)
    return each, map_beliefs(world, world.forest.collision, *documents)


@dataclass(frozen=True)
class HallucinationFloor:
    """How often a document drawn from exact Bayes is about somebody else, in probability, with standard errors.

    attributes: (A, 2) mean and standard error for each attribute; overall: for the person as a whole; n: persons drawn;
    documents: how many of each were read.
    """

    attributes: Tensor
    overall: tuple[float, float]
    n: int
    documents: int


def hallucination_floor(world: Narration, n: int, generator: torch.Generator, documents: int = 1) -> HallucinationFloor:
    """1 - E[collision probability of the posterior given ``documents`` related documents].

    A synthesizer that draws the person anew from the exact posterior gets an attribute wrong exactly this often; one
    that does so less often has committed to a guess (and is wrong more often in its favourite way).
    """
    concepts = world.sample_concepts(n, generator)
    given = [world.sample_given_concepts(concepts, generator).tokens for _ in range(documents)]
    each, overall = collision_probability(world, *given)
    attributes = torch.stack([1 - each.mean(0), each.std(0) / math.sqrt(n)], 1)
    return HallucinationFloor(
        attributes, (1 - float(overall.mean()), float(overall.std()) / math.sqrt(n)), n, documents
    )
