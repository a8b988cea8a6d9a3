import dataclasses
import math

import pytest
import torch

from analysis import measures
from analysis.ideal.arms import SELF_GENERATION, Setting
from analysis.ideal.parts import INFORMATION, OPTIMISATION, SHRINKAGE, gain_parts, optimisation_gain
from analysis.ideal.phase_diagram import SMALL, main, phase_diagram
from sbp_bayes.results import read_results

torch.set_num_threads(1)
TINY = dataclasses.replace(
    SMALL, overlaps=(0.0, 0.6), documents=(256,), setting=Setting(2, samples=2, oracle=2, heldout=512)
)
TINIER = dataclasses.replace(TINY, overlaps=(0.6,), documents=(16, 32), worlds=2)


@pytest.fixture(scope="module")
def rows():
    return phase_diagram(TINY)


def estimate(rows, subject: str, overlap: float, measure: str = measures.EXCESS_LOSS_PER_DOCUMENT) -> float:
    (row,) = [
        row for row in rows if (row.measure, row.subject, row.world) == (measure, subject, f"bow(overlap={overlap:g})")
    ]
    return row.estimate


def test_pairs_tell_where_documents_are_ambiguous_and_nothing_where_they_are_clear(rows):
    clear, unclear = (
        estimate(rows, "ideal:repetition", overlap) - estimate(rows, "ideal:pairs", overlap) for overlap in (0.0, 0.6)
    )
    assert abs(clear) < 0.05 and unclear > 0.15


def test_the_parts_sum_to_the_gain(rows):
    for overlap, learner in ((0.0, "ideal"), (0.6, "ideal"), (0.6, "ideal-untuned")):
        names = [f"gain from {part}" for part in (INFORMATION, SHRINKAGE)]
        parts = sum(estimate(rows, f"{learner}:sbp", overlap, name) for name in names)
        gain = estimate(rows, f"{learner}:repetition", overlap) - estimate(rows, f"{learner}:sbp", overlap)
        assert parts == pytest.approx(gain)


def test_tuned_smoothing_is_worth_more_than_synthesis_to_an_ideal_learner(rows):
    untuned, tuned = (estimate(rows, f"{learner}:repetition", 0.6) for learner in ("ideal-untuned", "ideal"))
    assert tuned < estimate(rows, "ideal-untuned:sbp", 0.6) < untuned


def test_the_world_and_the_law_are_in_the_table(rows):
    assert estimate(rows, "world", 0.0, measures.CONCEPT_ENTROPY) < estimate(
        rows, "world", 0.6, measures.CONCEPT_ENTROPY
    )
    law = [row for row in rows if row.subject == "law:sbp"]
    assert len(law) == TINY.law and all(0 <= row.at <= 1 and row.estimate > 0 for row in law)


def test_cells_do_not_depend_on_one_another():
    alone = phase_diagram(dataclasses.replace(TINIER, documents=(32,)))
    assert set(alone) < set(phase_diagram(TINIER))


def test_shrinkage_is_the_better_arm_without_related_pairs():
    excess = {arm: torch.tensor(losses).double() for arm, losses in LOSSES.items()}
    parts = gain_parts(excess)
    torch.testing.assert_close(parts[SHRINKAGE], torch.tensor([0.1, 0.3]).double())
    torch.testing.assert_close(parts[INFORMATION], torch.tensor([0.4, 0.1]).double())
    del excess[SELF_GENERATION]
    torch.testing.assert_close(gain_parts(excess)[SHRINKAGE], torch.tensor([-0.5, -0.5]).double())


LOSSES = {
    measures.REPETITION: [1.0, 1.0],
    measures.SBP: [0.5, 0.6],
    measures.RANDOM_PAIRS: [1.5, 1.5],
    SELF_GENERATION: [0.9, 0.7],
}


def test_optimisation_is_what_networks_gain_beyond_the_ideal():
    neural = {measures.REPETITION: [3.0, 3.2], measures.SBP: [2.0, 2.0], measures.RANDOM_PAIRS: [2.4, 2.8]}
    found = optimisation_gain(neural, LOSSES)
    assert found[OPTIMISATION][0] == pytest.approx(1.1 - 0.45)
    assert found[SHRINKAGE][0] == pytest.approx(0.5 - 0.2)
    assert found[INFORMATION][0] == pytest.approx(0.6 - 0.25)
    assert found[OPTIMISATION][1] == pytest.approx(math.hypot(0.1, 0.05))
    assert optimisation_gain({arm: losses[:1] for arm, losses in neural.items()}, LOSSES)[OPTIMISATION][1] == math.inf


def test_the_command_writes_a_results_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("analysis.ideal.phase_diagram.SMALL", TINIER)
    assert main([str(tmp_path / "out.json"), "--small"]) == 0
    found = read_results(tmp_path / "out.json")
    assert found == phase_diagram(TINIER) and capsys.readouterr().out.startswith(f"{len(found)} rows in ")


def test_a_wrong_name_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main([str(tmp_path / "out.csv")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'out.csv'}: expected a name that ends in .json\n"
