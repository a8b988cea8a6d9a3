import itertools
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paper_figs import (
    concept_posterior,
    gap_by_position,
    pairing_precision,
    recovered_share,
    style,
    training_dynamics,
    wording,
)
from paper_figs.report import FIGURES, draw_into
from paper_figs.run_files import read_published, read_results
from paper_figs.tables import headline

FROM_A_WORLD = ("training-dynamics", "recovered-share", "gap-by-position", "concept-posterior")
FORBIDDEN = ("torch", "pyro", "sbp_bayes", "synthetic_worlds", "analysis", "pyarrow", "pandas")


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return shutil.copytree(run, tmp_path / "tiny")


def change_rows(run: Path, change) -> None:
    rows = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps([row for row in map(change, rows) if row is not None]))


@pytest.mark.parametrize("name", FROM_A_WORLD)
def test_every_figure_is_drawn_with_a_sentence_that_says_n_and_seeds(run, name):
    assert FIGURES[name].draw(run) is not None
    caption = FIGURES[name].caption(run)
    assert "3 seeds" in caption
    assert caption.endswith(".")


def test_captions_state_the_numbers_of_the_results(run):
    results = read_results(run)
    sbp = results.over_seeds("excess_loss final", "sbp")["estimate"]
    assert sbp == pytest.approx((0.025 + 0.034 + 0.036) / 3)
    assert f"SBP at {wording.nats(sbp)}" in training_dynamics.caption(run)
    share = results.over_seeds("recovered final", "sbp")
    assert wording.interval(share) in recovered_share.caption(run)
    gap = results.over_seeds("bayes_gap", "synthesizer")["estimate"]
    assert f"Bayes gap is {wording.nats(gap)} nats" in gap_by_position.caption(run)


def test_a_seed_that_went_the_other_way_is_named(run):
    assert "SBP did not beat random pairs in seed 2 (of 3)." in recovered_share.caption(run)


def test_figures_read_files_only(copy):
    """In a process where every package of ours but paper_figs, and torch, cannot be imported."""
    program = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FORBIDDEN}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from paper_figs.report import write_report
write_report(Path({str(copy)!r}))
"""
    shutil.rmtree(copy / "seeds")  # the run's own table is enough
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {file.stem for file in (copy / "figures").glob("*.svg")} == set(FROM_A_WORLD)
    assert {file.stem for file in (copy / "figures").glob("*.png")} == set(FROM_A_WORLD)
    assert "SBP did not beat random pairs in seed 2" in (copy / "headline.txt").read_text()


def test_drawing_twice_gives_the_same_bytes(copy):
    draw_into(copy, FIGURES)
    first = {file.name: file.read_bytes() for file in (copy / "figures").iterdir()}
    draw_into(copy, FIGURES)
    assert {file.name: file.read_bytes() for file in (copy / "figures").iterdir()} == first


def test_figures_that_lack_their_files_are_left_out(copy):
    shutil.rmtree(copy / "metrics")
    (copy / "examples.json").unlink()
    change_rows(copy, lambda row: None if row["measure"].startswith(("bayes_gap", "recovered")) else row)
    assert draw_into(copy, FIGURES) == []
    assert [module.caption(copy) for module in FIGURES.values()] == [None] * len(FIGURES)


def test_an_infinite_gap_is_left_out_of_the_lines(copy):
    change_rows(copy, lambda row: {**row, "estimate": None, "se": None} if row["subject"] == "MAP" else row)
    assert gap_by_position.draw(copy) is not None
    assert "MAP" not in gap_by_position.caption(copy)


def test_undefined_shares_are_said_to_be_undefined(copy):
    undefined = {"estimate": None, "se": None, "low": None, "high": None}
    change_rows(copy, lambda row: {**row, **undefined} if row["measure"] == "recovered final" else row)
    assert "end of the budget the oracle's gain is not clearly above 0" in recovered_share.caption(copy)
    assert recovered_share.draw(copy) is not None
    change_rows(copy, lambda row: {**row, **undefined} if row["measure"] == "recovered best" else row)
    assert recovered_share.draw(copy) is None
    assert headline(copy).count("no share is defined") == 2


def test_dynamics_stand_above_exact_bayes_and_average_seeds(run):
    curves = training_dynamics.arm_curves(run)
    tokens, loss = curves["sbp"][1]
    assert loss[-1] == pytest.approx(0.034)
    assert tokens[-1] == 640_000
    assert training_dynamics.mean_curve(curves["sbp"])[1][-1] == pytest.approx((0.025 + 0.034 + 0.036) / 3)


def test_mean_curve_ends_where_the_shortest_seed_ends():
    import numpy as np

    first = (np.array([0.0, 10.0, 20.0]), np.array([3.0, 2.0, 1.0]))
    second = (np.array([0.0, 15.0]), np.array([3.0, 1.5]))
    tokens, mean = training_dynamics.mean_curve({0: first, 1: second})
    assert tokens.tolist() == [0.0, 10.0, 15.0]
    assert mean.tolist() == [3.0, 2.0, 1.5]


def test_pairing_precision_appears_where_a_rule_had_to_find_pairs(copy):
    assert pairing_precision.draw(copy) is None
    change_rows(copy, lambda row: {**row, "subject": "similarity"} if row["subject"] == "truth" else row)
    assert pairing_precision.draw(copy) is not None
    assert "similarity 100 % of 4,000 pairs" in pairing_precision.caption(copy)


def test_posterior_distances_are_between_averaged_posteriors(run):
    examples = json.loads((run / "examples.json").read_text())
    first = examples[0]["posterior"]
    expected = 0.5 * sum(abs(a - b) for a, b in zip(first["exact_mean"], first["synthesized_mean"], strict=True))
    assert concept_posterior._distance(examples[0], "synthesized_mean") == pytest.approx(expected)


def test_published_numbers_carry_their_certainty_and_source():
    rows = read_published("recovered_share")
    assert [float(row["recovered_share"]) for row in rows] == [0.42, 0.48, 0.58]
    assert all(row["certainty"] == "A" and "2509.15248" in row["source"] for row in rows)


def test_labels_move_no_further_than_they_must():
    assert style.spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert style.spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert style.spread([0.0, 0.0, 0.0], 0.1) == pytest.approx([0.0, 0.1, 0.2])
    assert style.spread([0.98, 1.0], 0.1) == pytest.approx([0.9, 1.0])
    crowded = style.spread([0.2, 0.21, 0.22, 0.8], 0.06)
    assert all(b - a >= 0.06 - 1e-12 for a, b in itertools.pairwise(crowded))
    assert crowded[1] == pytest.approx(0.21) and crowded[3] == 0.8


def test_arms_differ_in_colour_dash_and_marker():
    arms = ["repetition", "sbp", "random-pairs", "exact", "oracle"]
    for kind in ("color", "dash", "marker"):
        assert len({str(getattr(style.look(arm, arms), kind)) for arm in arms}) == len(arms)
    others = ["a", "b", "c"]
    assert len({style.look(name, others).marker for name in others}) == 3


def test_drawing_leaves_matplotlib_as_it_was(run):
    import matplotlib

    before = dict(matplotlib.rcParams)
    training_dynamics.draw(run)
    assert dict(matplotlib.rcParams) == before


def test_numbers_in_words():
    assert wording.nats(0.03167) == "0.0317"
    assert wording.nats(-0.0004) == "−4.0e−04"
    assert wording.nats(None) == "–"
    assert wording.nats(-3.5e-18) == "0"
    assert wording.percent(-0.094) == "−9 %"
    assert wording.interval({"estimate": 0.5, "low": 0.4, "high": 0.6}) == "50 % [40 %, 60 %]"
    assert wording.interval({"estimate": 0.5, "low": None, "high": None}) == "50 %"
    assert wording.count(1, "seed") == "1 seed" and wording.count(2048, "document") == "2,048 documents"
    assert wording.joined(["a", "b", "c"]) == "a, b and c"
    assert not math.isnan(float(wording.nats(0.5)))
