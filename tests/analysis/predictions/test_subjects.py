"""How an experiment's pairs become the law that its synthesizer should have learnt."""

import pytest
import torch

from analysis.predictions.subjects import pairs_of
from sbp_bayes.pairing.config import PairingConfig
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling


@pytest.fixture(scope="module")
def world():
    return make_world("style", seed=0, concepts=4, zipf=0.5)


@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        (PairingConfig(rule="truth"), PairSampling()),
        (PairingConfig(wrong=0.3), PairSampling(wrong=0.3)),
        (PairingConfig(near_duplicate=0.05), PairSampling(near_duplicate=0.05)),
        (PairingConfig(latents=["concept", "style"]), PairSampling(shared_style=1.0)),
        (PairingConfig(rule="random", latents=["style"]), PairSampling(wrong=1.0)),
    ],
)
def test_each_key_of_pairing_has_its_law(world, pairing, expected):
    assert pairs_of(pairing, world) == expected


def test_rarer_concepts_are_another_prior(world):
    prior = pairs_of(PairingConfig(concept_zipf=2.0), world).prior
    weights = world.prior * torch.tensor([1, 1 / 4, 1 / 9, 1 / 16])
    assert torch.allclose(prior, weights / weights.sum())


def test_pairs_of_one_style_only_are_not_pairs_of_one_concept(world):
    """Pairs that share the style and not the concept have a concept of their own each."""
    assert pairs_of(PairingConfig(rule="truth", latents=["style"]), world) == PairSampling(wrong=1.0, shared_style=1.0)
