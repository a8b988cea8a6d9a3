import numpy as np
import pytest

from analysis import measures
from analysis.predictions.gain_law import gain_law, world_gains
from analysis.predictions.verdict import INCONCLUSIVE, REFUTED, SUPPORTED, decide
from sbp_bayes.results import Result

WORLDS = {"easy": (0.1, 2.0), "medium": (0.5, 1.0), "hard": (0.85, 0.2), "null": (1.0, 1e-15)}


def results(gains: dict[str, float], seeds: int = 5, noise: float = 1e-4) -> list[Result]:
    """A study of ``gains`` in nats/token of true over random pairs in each world."""
    rng, rows = np.random.default_rng(0), []

    def add(measure: str, subject: str, world: str, seed: int | None, value: float) -> None:
        rows.append(Result(measure, subject, world, seed, value, None, 100, None, "nats"))

    for world, gain in gains.items():
        ambiguity, information = WORLDS[world]
        for seed in range(seeds):
            add(measures.CONCEPT_ENTROPY, measures.WORLD, world, seed, ambiguity * np.log(16))
            add(measures.LOG_CONCEPTS, measures.WORLD, world, seed, np.log(16))
            add(measures.PAIR_INFORMATION, measures.WORLD, world, seed, information)
            losses = {"repetition": 3.1, "oracle": 3.0, "random-pairs": 3.05, "sbp": 3.05 - gain}
            for arm, loss in losses.items():
                add("heldout_loss best", arm, world, seed, loss + noise * rng.standard_normal())
        add("heldout_loss best", "sbp", world, None, 0.0)
    return rows


def outcomes(rows: list[Result]) -> dict[str, str]:
    return {d.finding.quantity: d.outcome for d in decide(gain_law(rows))}


def test_an_inverted_u_is_supported():
    found = outcomes(results({"easy": 0.0, "medium": 0.04, "hard": 0.01, "null": 0.0}))
    assert len(found) == 4 and set(found.values()) == {SUPPORTED}


@pytest.mark.parametrize(
    "gains, quantity",
    [
        ({"null": 0.02}, "gain in null worlds"),
        ({"easy": 0.02}, "gain in clear worlds"),
        ({"easy": 0.0, "medium": 0.0}, "middle over clear"),
        ({"medium": 0.01, "hard": 0.03}, "middle over obscure"),
    ],
)
def test_each_way_of_failing_is_refuted(gains, quantity):
    assert outcomes(results(gains))[quantity] == REFUTED


def test_few_noisy_seeds_decide_nothing():
    assert outcomes(results({"null": 0.004}, seeds=2, noise=5e-3)) == {"gain in null worlds": INCONCLUSIVE}
    assert outcomes(results({"null": 0.2}, seeds=1)) == {"gain in null worlds": INCONCLUSIVE}


def test_worlds_come_with_their_figures_the_clearest_first():
    found = world_gains(results({"hard": 0.01, "medium": 0.03}, noise=0.0))
    assert [gain.world for gain in found] == ["medium", "hard"]
    assert found[0].ambiguity == pytest.approx(0.5) and found[0].information == pytest.approx(1.0)
    assert found[0].gains == pytest.approx([0.03] * 5) and found[0].to_gain == pytest.approx(0.1)
    assert found[0].shares == pytest.approx([0.3] * 5)


def test_worlds_without_random_pairs_or_entropy_are_left_out():
    rows = results({"medium": 0.03})
    assert world_gains([r for r in rows if r.subject != "random-pairs"]) == []
    assert world_gains([r for r in rows if r.measure != measures.CONCEPT_ENTROPY]) == []
    assert world_gains([r for r in rows if r.subject != "oracle"]) == []
    assert gain_law([]) == []
