import math

import pytest

from analysis import measures
from analysis.summary import summarise, summarise_run
from sbp_bayes.errors import UserError
from sbp_bayes.results import Result, read_results, write_results

LOSSES = {
    "repetition": [1.0, 2.0, 1.5],
    "oracle": [0.5, 1.0, 0.9],
    "sbp": [0.75, 1.6, 1.2],
    "random-pairs": [0.9, 1.5, 1.38],
}


def loss_rows(seed: int, losses=LOSSES) -> list[Result]:
    return [
        Result(f"heldout_loss {checkpoint}", arm, "toy", seed, values[seed] - better, 0.01, 100, None, "nats/token")
        for arm, values in losses.items()
        for checkpoint, better in (("final", 0.0), ("best", 0.1))
    ]


def found(rows, measure, subject, seed=None, at=None) -> Result:
    (row,) = [r for r in rows if (r.measure, r.subject, r.seed, r.at) == (measure, subject, seed, at)]
    return row


def write_run(run, rows_of_seed):
    for seed, rows in enumerate(rows_of_seed):
        write_results(run / "seeds" / str(seed), rows)
    return run


def test_shares_and_gains_of_each_seed_and_over_seeds():
    rows = summarise([row for seed in range(3) for row in loss_rows(seed)])
    assert found(rows, "recovered final", "sbp", 1).estimate == pytest.approx(0.4)
    assert found(rows, "recovered final", "sbp").estimate == pytest.approx((0.25 + 0.4 + 0.3) / (0.5 + 1.0 + 0.6))
    assert found(rows, "recovered final", "random-pairs", 1).estimate == pytest.approx(0.5)
    difference = found(rows, "recovered final", "sbp - random-pairs")
    assert difference.estimate == pytest.approx((0.15 - 0.1 + 0.18) / 2.1)
    assert difference.low < 0 < difference.high
    assert difference.n == 3
    assert found(rows, "gain final", "sbp - random-pairs", 1).estimate == pytest.approx(-0.1)
    assert found(rows, "gain best", "oracle").estimate == pytest.approx(0.7)
    assert {r.subject for r in rows if r.measure == "recovered best"} == {"sbp", "random-pairs", "sbp - random-pairs"}


def test_other_measures_are_averaged_over_seeds():
    rows = [Result("bayes_gap", "MAP", "toy", s, 1.0 + s, 0.1, 50, 0.0, "nats/document") for s in range(3)]
    rows += [Result("bayes_gap_at_position", "MAP", "toy", s, float(s), 0.1, 50, 0.0, "n", at=4.0) for s in range(3)]
    mean = found(summarise(rows), "bayes_gap", "MAP")
    assert (mean.estimate, mean.n, mean.null) == (2.0, 3, 0.0)
    assert 1.0 <= mean.low < 2.0 < mean.high <= 3.0
    assert found(summarise(rows), "bayes_gap_at_position", "MAP", at=4.0).estimate == 1.0


def test_an_infinite_gap_stays_no_number(tmp_path):
    rows = [
        [Result("bayes_gap", "MAP", "toy", s, math.inf if s else 1.0, None, 50, 0.0, "nats/document")] for s in range(2)
    ]
    summarise_run(write_run(tmp_path, rows))
    assert math.isnan(found(read_results(tmp_path), "bayes_gap", "MAP").estimate)


def test_without_an_oracle_there_are_gains_but_no_shares():
    losses = {arm: values for arm, values in LOSSES.items() if arm != "oracle"}
    rows = summarise([row for seed in range(3) for row in loss_rows(seed, losses)])
    assert not [r for r in rows if r.measure.startswith("recovered")]
    assert found(rows, "gain final", "sbp").estimate == pytest.approx(0.95 / 3)


def test_one_seed_has_estimates_and_no_intervals():
    row = found(summarise(loss_rows(0)), "recovered final", "sbp")
    assert row.estimate == pytest.approx(0.5)
    assert row.low is None and row.se is None and row.n == 1


def test_an_undefined_share_is_no_number_while_gains_stand():
    losses = {**LOSSES, "oracle": [1.1, 1.9, 1.6]}
    rows = summarise([row for seed in range(3) for row in loss_rows(seed, losses)])
    assert math.isnan(found(rows, "recovered final", "sbp").estimate)
    assert found(rows, "gain final", "sbp").estimate > 0


def test_writing_twice_changes_nothing(tmp_path):
    run = write_run(tmp_path, [loss_rows(seed) for seed in range(3)])
    summarise_run(run)
    first = (run / "results.json").read_bytes()
    summarise_run(run)
    assert (run / "results.json").read_bytes() == first
    assert found(read_results(run), "heldout_loss final", "sbp", 2).estimate == 1.2


def test_seeds_are_read_in_the_order_of_numbers(tmp_path):
    for seed in (10, 9, 2):
        write_results(tmp_path / "seeds" / str(seed), [Result("m", "s", "toy", seed, 0.0, None, 1, None, "n")])
    summarise_run(tmp_path)
    assert [r.seed for r in read_results(tmp_path) if r.seed is not None] == [2, 9, 10]


def test_a_run_without_seeds_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no seed has been evaluated"):
        summarise_run(tmp_path)


def test_checkpoints_are_named():
    assert measures.at_checkpoint(measures.RECOVERED, measures.BEST) == "recovered best"
