import math

import pytest
import torch

from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions import wrong_pairs
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, SUPPORTED, decide
from analysis.predictions.wrong_pairs import _on_noisy_pairs, noise_gaps, noise_laws
from analysis.synthesizers import ExactSynthesizer, PriorSynthesizer
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_law import pair_next_token_log_probs
from synthetic_worlds.pair_sampling import PairSampling

NOISY = PairSampling(wrong=0.3)


class StaticMixture:
    """Learns the noise as a fixed share of every token."""

    name = "static mixture"

    def __init__(self, world):
        self.right, self.alone = ExactSynthesizer(world), PriorSynthesizer(world)

    def next_token_log_probs(self, d2, *given):
        laws = [law.next_token_log_probs(d2, *given) for law in (self.right, self.alone)]
        return torch.logaddexp(laws[0] + math.log(1 - NOISY.wrong), laws[1] + math.log(NOISY.wrong))


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=2, length=32)


def outcomes(subject) -> dict[str, str]:
    return {d.finding.quantity: d.outcome for d in decide(wrong_pairs.measure(subject))}


def test_the_mixture_is_the_law_of_noisy_pairs(world):
    subject = known_subject(ExactSynthesizer(world), world, 20, 0, NOISY)
    d2 = world.sample(20, torch.Generator().manual_seed(1)).tokens
    laws = noise_laws(subject, subject.d1, d2)
    assert torch.allclose(laws.mixture(0.3), pair_next_token_log_probs(world, d2, subject.d1, NOISY), atol=1e-9)
    static = StaticMixture(world).next_token_log_probs(d2, subject.d1)
    assert torch.allclose(laws.mixture(0.3, power=0.0), static, atol=1e-9)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_so_many_of_the_noisy_pairs_are_wrong(world, share):
    subject = known_subject(ExactSynthesizer(world), world, 2000, 0)
    evidence = torch.cat([laws.evidence[:, -1] for laws in _on_noisy_pairs(subject, share)])
    right = torch.sigmoid(evidence + math.log((1 - share) / share))
    assert float(right.mean()) == pytest.approx(1 - share, abs=4 * float(right.std()) / 2000**0.5)


@pytest.mark.parametrize("name", ["bow", "hmm"])
def test_the_law_of_noisy_pairs_is_supported(name):
    world = make_world(name, preset="medium", seed=1)
    subject = known_subject(PairLawSynthesizer(world, NOISY), world, 64, 0, NOISY)
    for found in wrong_pairs.measure(subject):
        assert found.estimate == pytest.approx(found.null, abs=1e-3), found.quantity
    assert set(outcomes(subject).values()) == {SUPPORTED}


def test_a_fixed_mixture_of_tokens_is_refuted_though_its_share_is_right(world):
    found = outcomes(known_subject(StaticMixture(world), world, 256, 0, NOISY))
    assert found["power of the evidence"] == REFUTED and found["change of mind"] == REFUTED


def test_a_synthesizer_that_ignores_the_noise_is_refuted(world):
    assert outcomes(known_subject(ExactSynthesizer(world), world, 128, 0, NOISY))["share of wrong pairs"] == REFUTED


def test_of_clean_pairs_none_is_wrong(world):
    assert outcomes(known_subject(ExactSynthesizer(world), world, 128, 0)) == {"share of wrong pairs": SUPPORTED}
    noisy = PairLawSynthesizer(world, NOISY)
    assert outcomes(known_subject(noisy, world, 128, 0)) == {"share of wrong pairs": REFUTED}


def test_each_law_is_nearest_to_itself(world):
    for synthesizer, nearest in (
        (PairLawSynthesizer(world, NOISY), "adaptive"),
        (StaticMixture(world), "static"),
        (ExactSynthesizer(world), "clean"),
        (PriorSynthesizer(world), "prior"),
    ):
        gaps = noise_gaps(known_subject(synthesizer, world, 64, 0, NOISY), 0.3)
        assert min(gaps, key=lambda name: gaps[name][0]) == nearest
        assert gaps[nearest][0] == pytest.approx(0, abs=1e-9)


def test_where_it_does_not_apply(world):
    assert wrong_pairs.applies(known_subject(ExactSynthesizer(world), world, 8, 0)) is None
    null = make_world("bow", preset="null")
    assert "null world" in wrong_pairs.applies(known_subject(ExactSynthesizer(null), null, 8, 0))
    copied = known_subject(ExactSynthesizer(world), world, 8, 0, PairSampling(near_duplicate=0.1))
    assert "copied" in wrong_pairs.applies(copied)
