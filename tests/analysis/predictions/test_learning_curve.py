"""The fit recovers floor and exponent; curves are found among cells that differ in their pairs alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import measures
from analysis.predictions.learning_curve import curves, fit, learning_curves
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
    assert [(r.at, r.seed) for r in points] == [(m, s) for m in (2e3, 8e3, 32e3, 130e3) for s in (0, 1, 2)]
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


def test_a_seed_that_lacks_a_point_is_left_out():
    rows, cells = sweep()
    rows = [row for row in rows if not (row.cell == "pairs8000-1M" and row.seed == 2)]
    assert [curve.seeds for curve in curves(rows, cells)] == [[0, 1, 2], [0, 1]]
