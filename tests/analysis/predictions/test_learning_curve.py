"""The fit recovers floor and exponent; curves are found among cells that differ in their pairs alone."""

import copy
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import measures
from analysis.predictions.learning_curve import curves, fit, learning_curves, why_no_fit
from sbp_bayes.results import Result

PAIRS = np.array([2e3, 8e3, 32e3, 128e3])


@given(st.floats(0, 0.01), st.floats(1, 100), st.integers(20, 100))
@settings(deadline=None, max_examples=40)
def test_a_curve_without_noise_is_recovered(floor, scale, place):
    exponent = 0.02 * place
    fitted = fit(PAIRS, (floor + scale * PAIRS**-exponent)[None])[0]
    assert np.allclose(floor + scale * PAIRS**-exponent, fitted[0] + fitted[1] * PAIRS ** -fitted[2], rtol=1e-6)
    assert fitted[2] == pytest.approx(exponent, abs=1e-6)


def test_floor_and_scale_are_never_negative():
    random = np.random.default_rng(0)
    fitted = fit(PAIRS, np.exp(random.standard_normal((200, 4))))
    assert (fitted[:, :2] >= 0).all() and np.isfinite(fitted).all()


def sweep(seeds=(0, 1, 2), floor=0.0, sizes=("0.1M", "1M")):
    cells, rows = {}, []
    for size in sizes:
        for pairs in PAIRS:
            cell = f"pairs{pairs:g}-{size}"
            corpus = {"real": int(pairs / 2), "options": {"name": "bow", "preset": "medium"}}
            evaluation = {"predictions": pairs > 100e3}  # what is measured makes no other curve
            cells[cell] = {"name": "s", "corpus": corpus, "model": {"size": size}, "evaluation": evaluation}
            for seed in seeds:
                gap = math.log(2) * (floor + 30 * pairs**-0.8) * (1 + 0.05 * seed)
                common = {"world": "bow-medium", "seed": seed, "se": None, "n": 100, "null": 0.0, "cell": cell}
                rows.append(Result(measures.PAIRS, "truth", estimate=pairs + seed, unit="pairs", **common))
                rows.append(Result(measures.PAIRS, "random", estimate=7.0, unit="pairs", **common))
                name = measures.BAYES_GAP_PER_TOKEN
                rows.append(Result(name, measures.SYNTHESIZER, estimate=gap, unit="nats/token", **common))
                rows.append(Result(name, measures.EXACT, estimate=0.0, unit="nats/token", **common))
    cells["wrong"] = {"name": "s", "pairing": {"wrong": 0.3}}
    return rows, cells


def test_a_curve_for_each_size_with_points_and_intervals():
    rows, cells = sweep()
    found = learning_curves(rows, cells)
    assert {row.subject for row in found} == {"synthesizer 0.1M", "synthesizer 1M"}
    points = [r for r in found if r.measure == measures.LEARNING_CURVE and r.subject == "synthesizer 1M"]
    assert [(r.at, r.seed) for r in points] == [(m, s) for m in PAIRS + 1 for s in (0, 1, 2)]  # the middle seed
    assert points[0].estimate == pytest.approx(30 * 2000**-0.8)
    exponent = next(r for r in found if r.measure == measures.LEARNING_CURVE_EXPONENT)
    assert exponent.estimate == pytest.approx(0.8, abs=0.02) and exponent.n == 3
    assert exponent.low <= exponent.estimate <= exponent.high
    floor = next(r for r in found if r.measure == measures.LEARNING_CURVE_FLOOR)
    assert floor.low <= 1e-4 and floor.null == 0


def test_one_seed_has_no_interval_and_two_numbers_of_pairs_no_curve():
    rows, cells = sweep(seeds=(0,))
    assert all(row.low is None for row in learning_curves(rows, cells))
    few = [row for row in rows if "pairs2000-" in row.cell or "pairs8000-" in row.cell]
    assert learning_curves(few, cells) == []


def test_a_seed_that_lacks_a_point_is_shown_and_not_fitted():
    rows, cells = sweep()
    whole = learning_curves(rows, cells)
    rows = [row for row in rows if not (row.cell == "pairs8000-1M" and row.seed == 2)]
    complete, lacking = curves(rows, cells)
    assert complete.complete.shape == (4, 3) and lacking.gaps.shape == (4, 3) and lacking.complete.shape == (4, 2)
    found = learning_curves(rows, cells)
    assert len(found) == len(whole) - 1
    assert [row.n for row in found if row.measure == measures.LEARNING_CURVE_EXPONENT] == [3, 2]


@pytest.mark.parametrize("border", [8450, 8549, 845])
def test_seeds_of_nearly_equal_numbers_of_pairs_are_one_point(border):
    """However the numbers would be rounded: a cell is a point."""
    rows, cells = sweep(sizes=("1M",))
    kept = [border - 1, border, border + 1]
    rows = [
        dataclasses.replace(row, estimate=kept[row.seed])
        if row.cell == "pairs8000-1M" and row.measure == measures.PAIRS and row.subject == "truth"
        else row
        for row in rows
    ]
    (curve,) = curves(rows, cells)
    assert border in curve.pairs and curve.complete.shape == (4, 3)


def test_cells_of_one_number_of_documents_are_no_curve():
    """Steps of training are none: three of them at one number of pairs lie on no curve against pairs."""
    rows, cells = sweep(sizes=("1M",))
    for cell in cells:
        if "corpus" in cells[cell]:
            cells[cell]["corpus"]["real"] = 1024
    assert curves(rows, cells) == []


def test_a_curve_that_cannot_be_fitted_says_why_and_keeps_its_points():
    rows, cells = sweep(sizes=("1M",))
    gaps = [row for row in rows if row.measure == measures.BAYES_GAP_PER_TOKEN and row.subject == measures.SYNTHESIZER]

    def without(lost, estimate):
        changed = [dataclasses.replace(row, estimate=estimate) if row in gaps and lost(row) else row for row in rows]
        (curve,) = curves(changed, cells)
        assert {row.measure for row in learning_curves(changed, cells)} == {measures.LEARNING_CURVE}
        return why_no_fit(curve)

    assert "no seed" in without(lambda row: row.cell == f"pairs{PAIRS[row.seed]:g}-1M", math.inf)
    assert "2 numbers of pairs" in without(lambda row: row.cell in ("pairs2000-1M", "pairs8000-1M"), math.nan)
    assert "0 or less" in without(lambda row: row.cell == "pairs2000-1M", 0.0)
    (curve,) = curves(rows, cells)
    assert why_no_fit(curve) is None


def test_hard_worlds_have_a_curve_for_each_size_beside_those_of_medium_ones():
    """As in experiments/bayes.toml: the world's preset tells worlds apart, and the size synthesizers."""
    rows, cells = sweep()
    hard = {f"hard-{cell}": copy.deepcopy(tables) for cell, tables in cells.items() if cell != "wrong"}
    for tables in hard.values():
        tables["corpus"]["options"]["preset"] = "hard"
    rows += [dataclasses.replace(row, cell=f"hard-{row.cell}", world="bow-hard") for row in rows]
    found = {(curve.world, curve.subject) for curve in curves(rows, {**cells, **hard})}
    assert found == {(w, f"synthesizer {s}") for w in ("bow-medium", "bow-hard") for s in ("0.1M", "1M")}
