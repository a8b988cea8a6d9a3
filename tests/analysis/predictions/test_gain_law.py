from dataclasses import replace

import numpy as np
import pytest

from analysis import measures
from analysis.predictions.finding import Finding
from analysis.predictions.gain_law import QUANTITIES, chosen_worlds, gain_law, world_gains
from analysis.predictions.verdict import INCONCLUSIVE, REFUTED, SUPPORTED, decide
from analysis.summarise_sweep import gain_verdicts
from sbp_bayes.results import Result

WORLDS = {
    "easy": (0.1, 2.0),
    "less easy": (0.19, 1.8),
    "medium": (0.3, 1.0),
    "hard": (0.7, 0.3),
    "obscure": (0.85, 0.1),
    "null": (1.0, 1e-15),
}
INVERTED_U = {"easy": 0.0, "medium": 0.04, "obscure": 0.01, "null": 0.0}


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


def findings(rows: list[Result]) -> list[Finding]:
    return gain_law(chosen_worlds(world_gains(rows)))


def outcomes(rows: list[Result]) -> dict[str, str]:
    return {d.finding.quantity: d.outcome for d in decide(findings(rows))}


def test_an_inverted_u_is_supported():
    found = outcomes(results(INVERTED_U))
    assert len(found) == 4 and set(found.values()) == {SUPPORTED}
    assert {row.prediction_verdict for row in gain_verdicts(results(INVERTED_U))} == {SUPPORTED}


@pytest.mark.parametrize("lost, kind", [("easy", "clear"), ("medium", "middle"), ("obscure", "obscure"), ("null",) * 2])
def test_with_a_kind_of_world_missing_nothing_is_supported_and_it_says_which(lost, kind):
    found = gain_verdicts(results({world: gain for world, gain in INVERTED_U.items() if world != lost}))
    assert len(found) == 4 and {row.prediction_verdict for row in found} == {INCONCLUSIVE}
    unmeasured = [row for row in found if row.verdict == INCONCLUSIVE]
    assert unmeasured and all(kind in QUANTITIES[row.quantity] for row in unmeasured)
    for row in unmeasured:
        assert f"no {kind} world" in row.sentence and (row.estimate, row.n) == (None, 0)
    assert all("Not measured" not in row.sentence for row in found if row not in unmeasured)


def test_what_is_missing_hides_no_refutation():
    found = gain_verdicts(results({"null": 0.02}))
    assert {row.prediction_verdict for row in found} == {REFUTED}


@pytest.mark.parametrize(
    "gains, quantity",
    [
        ({"null": 0.02}, "gain in null worlds"),
        ({"easy": 0.02}, "gain in clear worlds"),
        ({"easy": 0.0, "medium": 0.0}, "middle over clear"),
        ({"medium": 0.01, "obscure": 0.03}, "middle over obscure"),
    ],
)
def test_each_way_of_failing_is_refuted(gains, quantity):
    assert outcomes(results(gains))[quantity] == REFUTED


def test_few_noisy_seeds_decide_nothing():
    assert outcomes(results({"null": 0.004}, seeds=2, noise=5e-3))["gain in null worlds"] == INCONCLUSIVE
    assert outcomes(results({"null": 0.2}, seeds=1))["gain in null worlds"] == INCONCLUSIVE


def test_one_world_stands_for_each_kind_by_its_ambiguity_and_not_by_its_gain():
    """The hard world's gain does not pull down that of the middle, nor choose it; the clearest one is the clear one."""
    for hard in (0.0, 0.09):
        gains = {**INVERTED_U, "less easy": 0.03, "hard": hard}
        chosen = chosen_worlds(world_gains(results(gains, noise=0.0)))
        assert {kind: gain.world for kind, gain in chosen.items()} == {
            "null": "null",
            "clear": "easy",
            "middle": "medium",
            "obscure": "obscure",
        }
        values = {found.quantity: found.estimate for found in gain_law(chosen)}
        assert values["middle over clear"] == pytest.approx(0.4)
        assert values["middle over obscure"] == pytest.approx(0.3)


def test_a_verdict_names_the_worlds_that_it_rests_on():
    found = {row.quantity: row for row in gain_verdicts(results({**INVERTED_U, "hard": 0.0}))}
    assert found["gain in null worlds"].world == "null" and found["middle over obscure"].world == "medium, obscure"
    assert found["middle over clear"].n == 10 and found["middle over clear"].seeds == list(range(5))


def test_the_error_is_that_of_the_spread_over_seeds():
    rows = results({"medium": 0.03, "easy": 0.01}, noise=1e-3)
    easy, medium = world_gains(rows)
    contrast = next(found for found in findings(rows) if found.quantity == "middle over clear")
    errors = [np.std(gain.shares, ddof=1) / 5**0.5 for gain in (easy, medium)]
    assert contrast.se == pytest.approx(np.hypot(*errors)) and contrast.df == 4


def test_worlds_come_with_their_figures_the_clearest_first():
    found = world_gains(results({"hard": 0.01, "medium": 0.03}, noise=0.0))
    assert [gain.world for gain in found] == ["medium", "hard"]
    assert found[0].ambiguity == pytest.approx(0.3) and found[0].information == pytest.approx(1.0)
    assert found[0].gains == pytest.approx([0.03] * 5) and found[0].to_gain == pytest.approx(0.1)
    assert found[0].shares == pytest.approx([0.3] * 5)


def test_worlds_without_random_pairs_or_entropy_are_left_out():
    rows = results({"medium": 0.03})
    assert world_gains([r for r in rows if r.subject != "random-pairs"]) == []
    assert world_gains([r for r in rows if r.measure != measures.CONCEPT_ENTROPY]) == []
    assert world_gains([r for r in rows if r.subject != "oracle"]) == []
    assert findings([]) == [] and gain_verdicts([]) == []


def test_cells_of_one_world_are_not_mixed():
    rows = [replace(row, cell="a") for row in results({"medium": 0.03}, noise=0.0)]
    rows += [replace(row, cell="b") for row in results({"medium": 0.01}, noise=0.0)]
    assert [gain.gains.mean() for gain in world_gains(rows)] == pytest.approx([0.03, 0.01])
