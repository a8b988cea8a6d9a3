import math
from pathlib import Path

from analysis import measures
from analysis.excess_loss import MeanLoss
from analysis.rows import Rows
from analysis.summary import summarise
from paper_figs.paper_table1 import paper_table1
from paper_figs.run_files import Results, read_results
from sbp_bayes.results import write_results

LOSSES = {"repetition": (4.2, 4.1), "sbp": (4.05, 4.05), "continuation": (4.2, 4.15), "oracle": (3.9, 3.9)}


def results_of(folder: Path, losses: dict[str, tuple[float, float]]) -> Results:
    rows = Rows("some text", 0)
    for arm, both in losses.items():
        for checkpoint, loss in zip(measures.CHECKPOINTS, both, strict=True):
            rows.add_loss(measures.HELDOUT_LOSS, arm, checkpoint, MeanLoss(loss, 0.01, 60 * loss, 0.6, 100), None)
    write_results(folder, summarise(rows.results))
    return read_results(folder)


def test_this_run_stands_above_the_published_numbers(tmp_path):
    shown = paper_table1(results_of(tmp_path, LOSSES))
    assert shown.header[2:] == ["repetition", "SBP", "continuation of d1", "oracle", "recovers"]
    rows = {row[0]: row[1:] for row in shown.rows}
    assert rows["this run, end: loss, nats/token"] == ["measured", "4.2", "−0.150", "+0.000", "−0.300", "50 %"]
    perplexity = rows["this run, best: perplexity"]
    assert perplexity[1] == f"{math.exp(4.1):.2f}"
    assert perplexity[2] == f"{math.exp(4.05) - math.exp(4.1):.2f}".replace("-", "−")
    assert rows["published, 1T tokens, 6B: average QA, accuracy %"] == ["A", "58.29", "+1.32", "–", "+2.26", "58 %"]
    assert rows["published, 200B tokens, 3B: LAMBADA, perplexity"][:1] == ["C"]
    assert len(rows) == 4 + 21


def test_an_oracle_that_gains_nothing_leaves_the_share_open(tmp_path):
    shown = paper_table1(results_of(tmp_path, {**LOSSES, "oracle": (4.3, 4.3)}))
    assert [row[-1] for row in shown.rows[:4]] == ["–"] * 4


def test_a_world_and_a_run_without_the_oracle_have_no_such_table(run, tmp_path):
    assert paper_table1(read_results(run)).rows == []
    assert paper_table1(results_of(tmp_path, {arm: both for arm, both in LOSSES.items() if arm != "oracle"})).rows == []
