"""The study in miniature: every prediction is put to some network, and every figure drawn. Minutes."""

from pathlib import Path

import pytest

from analysis.predictions.catalogue import PREDICTIONS
from analysis.predictions.over_seeds import read_verdicts
from paper_figs.sweep_report import FIGURES
from sbp_bayes.cli import main

STUDY = Path(__file__).parents[2] / "experiments" / "bayes-small.toml"


@pytest.mark.slow
def test_every_prediction_is_judged_and_every_figure_drawn(tmp_path):
    assert main(["run", str(STUDY), "--out", str(tmp_path)]) == 0
    run = tmp_path / "bayes-small"
    found = read_verdicts(run)
    assert {row.prediction for row in found} == set(PREDICTIONS)
    assert {file.stem for file in (run / "figures").glob("*.png")} == set(FIGURES)
    # Where one document says nothing of another, no measure may claim that it does.
    null = [row for row in found if row.cell in ("null", "gain-null") and row.prediction in ("P4", "P5", "P13")]
    assert null and all(row.verdict != "REFUTED" for row in null)
