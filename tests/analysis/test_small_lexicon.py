"""The lexicon experiment in miniature, from the packages to the report. Minutes."""

from pathlib import Path

import pytest

from paper_figs.run_files import read_results
from sbp_bayes.cli import main

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "lexicon-small.toml"


@pytest.mark.slow
@pytest.mark.network
def test_every_arm_is_measured_and_stands_beside_the_paper(tmp_path):
    assert main(["run", str(EXPERIMENT), "--out", str(tmp_path)]) == 0
    run = tmp_path / "lexicon-small"
    results = read_results(run)
    losses = {
        arm: results.over_seeds("heldout_loss best", arm)["estimate"] for arm in results.subjects("heldout_loss best")
    }
    assert set(losses) == {"repetition", "sbp", "random-pairs", "continuation", "oracle"}
    # A uniform guess costs log(1024) = 6.9 nats a token; fresh documents are worth more than repeated ones.
    assert losses["oracle"] < losses["repetition"] < 6.5
    assert "published, 1T tokens, 6B" in (run / "report.html").read_text()
