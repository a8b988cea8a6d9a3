"""Every figure of `sbp figures`, from tables made by hand: what captions say is what the tables hold."""

import shutil
from pathlib import Path

import pytest
from figure_tables import change_rows, write_arms, write_sweep

from paper_figs.figures import ambiguity, frontier, gain_and_gap, larger_model, mixture, phase_diagram, two_epochs
from paper_figs.figures.catalogue import DIALS, FIGURES
from paper_figs.figures.dial import Dial
from paper_figs.figures.result_tables import read_table
from sbp_bayes.files import write_json

SWEEPS = sorted({entry.experiment for entry in FIGURES.values() if (entry.experiment or "").startswith("sweep-")})
COMMITTED = Path(__file__).parents[2] / "experiments" / "results"


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """Tables of every sweep and of all arms, and the committed ones of the demo and the narrations."""
    folder = tmp_path_factory.mktemp("tables")
    for sweep in SWEEPS:
        write_sweep(folder, sweep)
    write_arms(folder)
    for name in ("demo", "narration"):
        shutil.copytree(COMMITTED / name, folder / name)
    return folder


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "table-2"])
def test_every_figure_is_drawn_with_a_caption_that_says_n_and_seeds(name, tables):
    entry = FIGURES[name]
    assert entry.drawing.draw(tables) is not None
    caption = entry.drawing.caption(tables)
    assert caption.endswith(".") and ".." not in caption and "  " not in caption
    assert "seed" in caption
    if entry.experiment in SWEEPS:
        assert "3 seeds" in caption or ("5 seeds" in caption and name == "gain-against-gap")  # the demo's too


@pytest.mark.parametrize("name", [name for name, entry in FIGURES.items() if entry.experiment])
def test_without_tables_there_is_no_figure(name, tmp_path):
    assert FIGURES[name].drawing.draw(tmp_path) is None
    assert FIGURES[name].drawing.caption(tmp_path) is None


def test_the_best_share_is_that_of_least_loss(tables, tmp_path):
    assert "The best share tried is 75 % at 256 documents and 75 % at 512 documents." in mixture.caption(tables)
    changed = shutil.copytree(tables / "sweep-mixture", tmp_path / "sweep-mixture")
    flat = {"estimate": 0.02, "low": None, "high": None}
    in_cell = "real256-0.25"
    change_rows(changed, lambda r: {**r, **flat} if (r["cell"], r["subject"]) == (in_cell, "sbp") else r)
    assert "The best share tried is 25 % at 256 documents and 75 % at 512 documents." in mixture.caption(tmp_path)


def test_sizes_are_compared_at_one_number_of_documents(tables):
    cells = read_table(tables, "sweep-mixture")
    assert {size: len(own) for size, own in mixture._by_size(cells).items()} == {"0.03M": 2, "0.1M": 2}
    assert set(mixture._by_real(cells)) == {256, 512}


def test_the_cost_of_epochs_is_repetition_less_the_oracle(tables):
    assert "2 epochs cost 0.102 nats/token more than fresh documents" in two_epochs.caption(tables)


def test_a_larger_model_is_compared_where_it_costs_no_more_than_sbp(tables):
    assert "repetition of 0.1M for 7 epochs is worse: 0.121 beside 0.031" in larger_model.caption(tables)
    cells, points = larger_model._points(tables)
    assert len(points) == sum(len(set(cell.values["arms.names"]) & set(larger_model.ARMS)) for cell in cells)


def test_the_frontier_is_what_nothing_cheaper_beats():
    points = [(3.0, 0.2, "c"), (1.0, 0.5, "a"), (2.0, 0.6, "b"), (4.0, 0.1, "d"), (4.0, 0.3, "e")]
    assert [arm for _, _, arm in frontier.frontier(points)] == ["a", "c", "d"]


def test_gap_and_gain_are_ordered_by_rank():
    assert gain_and_gap._rank_correlation([0.0, 1.0, 2.0, 3.0], [9.0, 4.0, 3.0, 1.0]) == pytest.approx(-1)
    assert gain_and_gap._rank_correlation([0.0, 1.0, 1.0, 2.0], [1.0, 2.0, 2.0, 3.0]) == pytest.approx(1)
    assert gain_and_gap._rank_correlation([0.0, 1.0], [1.0, 2.0]) is None
    assert gain_and_gap._rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None


def test_ambiguity_is_read_at_the_number_of_documents_that_most_cells_have(tables):
    assert "256 documents in D" in ambiguity.caption(tables) or "512 documents in D" in ambiguity.caption(tables)
    assert "H(c|d1) is" in ambiguity.caption(COMMITTED)


def test_the_phase_diagram_has_ideal_learners_beside_networks(tables, tmp_path):
    assert list(phase_diagram._grids(tables)) == ["networks"]
    shutil.copytree(tables / "sweep-ambiguity", tmp_path / "sweep-ambiguity")

    def row(measure: str, subject: str, estimate: float, at: float | None, se: float | None = None) -> dict:
        known = {"measure": measure, "subject": subject, "world": "bow(overlap=0.6)", "seed": None, "n": 6}
        return known | {"estimate": estimate, "se": se, "at": at, "low": None, "high": None, "unit": "nats"}

    excess = "excess_loss_per_document"
    rows = [
        row("information H(c|d1)", "world", 0.8, None),
        row(excess, "ideal:repetition", 0.5, 512.0),
        row(excess, "ideal:oracle", 0.1, 512.0),
        row("gain from information", "ideal:sbp", 0.2, 512.0, 0.01),
        row(excess, "law:sbp", 0.2, 0.3),
    ]
    write_json(tmp_path / "ideal" / "results.json", rows)
    grid = phase_diagram._grids(tmp_path)["ideal learners"]
    assert list(grid) == [(0.6, 512)]
    entropy, share = grid[0.6, 512]
    assert entropy == 0.8 and share["estimate"] == pytest.approx(0.5)
    assert share["low"] == pytest.approx(0.5 - 1.96 * 0.01 / 0.4)
    assert phase_diagram.draw(tmp_path) is not None
    assert "Ideal learners: true pairs add most at H(c|d1) = 0.8 nats" in phase_diagram.caption(tmp_path)


def test_a_dial_names_its_best_and_worst_value(tables, tmp_path):
    dial = dict(DIALS)["temperature"]
    caption = dial.caption(tables)
    assert "recovers most of the oracle's gain at temperature 1:" in caption and "least at 0.7:" in caption
    nowhere = Dial("sweep-temperature", "synthesis.no_such_key", "nothing")
    assert nowhere.draw(tables) is None and nowhere.caption(tables) is None


def test_a_seed_alone_has_no_interval(tmp_path):
    write_sweep(tmp_path, "sweep-noise", seeds=(0,))
    assert "Mean of 1 seed, which has no interval" in dict(DIALS)["pair-noise"].caption(tmp_path)
