"""How the Bayes gap falls with the number of pairs: B(M) = floor + scale * M ** -exponent, over the cells of a sweep.

The floor is what no number of pairs would remove, the claim that P1 makes being that it is 0.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis import measures
from analysis.bootstrap import expanded_quantiles
from sbp_bayes.results import Result
from sbp_bayes.seeds import numpy_generator

# What may change with the number of pairs: all cells of one curve agree in everything else that shapes a synthesizer.
ALONG = ("name", "corpus.real", "corpus.oracle", "synthesizer.steps", "training.epochs")
NO_MATTER = ("evaluation.", "arms.")
FEWEST = 3  # numbers of pairs of a curve: as many as the fit has parameters
RESAMPLES = 1000
EXPONENTS = np.linspace(0.02, 3.0, 150)


@dataclass(frozen=True)
class Curve:
    """Gaps in bits a token of one synthesizer in one world. pairs: (P,) ascending; gaps: (P, S), a column a seed."""

    subject: str
    world: str
    pairs: np.ndarray
    gaps: np.ndarray
    seeds: list[int]


def learning_curves(rows: Sequence[Result], settings: Mapping[str, Mapping]) -> list[Result]:
    """Rows of every learning curve in a sweep: its points seed by seed, and the fit with 95 % intervals over seeds.

    rows: of all cells; settings: cell -> all of its experiment, as nested tables. A curve has three numbers of pairs or
    more.
    """
    return [row for curve in curves(rows, settings) for row in _rows(curve)]


def curves(rows: Sequence[Result], settings: Mapping[str, Mapping]) -> list[Curve]:
    """The curves of a sweep, in the order of its cells; seeds that lack a point are left out of their curve.

    A curve's subject says by which values, other than the corpus's, it differs from the others of the sweep.
    """
    shared = {cell: dict(_shared(tables)) for cell, tables in settings.items()}
    gaps: dict[tuple, dict[float, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    found = {(row.cell, row.seed): row.estimate for row in rows if _is_pairs(row)}
    for row in rows:
        pairs = found.get((row.cell, row.seed))
        if row.measure != measures.BAYES_GAP_PER_TOKEN or row.subject != measures.SYNTHESIZER or pairs is None:
            continue
        if not math.isfinite(row.estimate):
            continue
        key = (row.world, tuple(shared[row.cell].items()))
        gaps[key][_round_number(pairs)][row.seed] = row.estimate / math.log(2)
    kept = {
        key: (points, seeds)
        for key, points in gaps.items()
        if len(points) >= FEWEST and (seeds := sorted(set.intersection(*(set(point) for point in points.values()))))
    }
    values = defaultdict(set)
    for _, rest in kept:
        for key, value in rest:
            values[key].add(value)
    result = []
    for (world, rest), (points, seeds) in kept.items():
        told = [value for key, value in rest if len(values[key]) > 1 and not key.startswith("corpus.")]
        at = sorted(points)
        found_gaps = np.array([[points[m][seed] for seed in seeds] for m in at])
        result.append(Curve(" ".join([measures.SYNTHESIZER, *told]), world, np.array(at), found_gaps, seeds))
    return result


def _shared(tables: Mapping, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, value as text) of nested tables, without what may change along a curve, and what doesn't shape it."""
    for name, value in tables.items():
        path = prefix + name
        if isinstance(value, Mapping):
            yield from _shared(value, f"{path}.")
        elif path not in ALONG and not path.startswith(NO_MATTER):
            yield path, str(value)


def fit(pairs: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """(R, 3) floor, scale and exponent for R sets of gaps (R, P) at ``pairs`` (P,), none of them negative.

    Least squares of relative errors: gaps fall over orders of magnitude. Exact in floor and scale, on a grid in the
    exponent; at the exponent's bounds read it as "at least" or "at most". The scale is the gap at one pair.
    """
    x = pairs[None, :] ** -EXPONENTS[:, None]  # (E, P)
    weights = 1 / np.square(gaps)[:, None]  # (R, 1, P)
    y = gaps[:, None]
    sums = [(weights * term).sum(-1) for term in (np.ones_like(x), x, x * x, y, x * y)]
    one, sx, sxx, sy, sxy = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.clip((one * sxy - sx * sy) / (one * sxx - sx * sx), 0, None)
        floor = (sy - scale * sx) / one
        scale = np.where(floor < 0, sxy / sxx, scale)
        floor = np.clip(floor, 0, None)
    errors = (weights * np.square(floor[..., None] + scale[..., None] * x - y)).sum(-1)
    best = np.nanargmin(errors, axis=1)
    rows = np.arange(len(gaps))
    return np.stack([floor[rows, best], scale[rows, best], EXPONENTS[best]], axis=1)


def _rows(curve: Curve) -> list[Result]:
    points = [
        Result(measures.LEARNING_CURVE, curve.subject, curve.world, seed, gap, None, 1, 0.0, "bits/token", pairs)
        for pairs, gaps in zip(curve.pairs.tolist(), curve.gaps.tolist(), strict=True)
        for seed, gap in zip(curve.seeds, gaps, strict=True)
    ]
    fitted = fit(curve.pairs, curve.gaps.mean(1)[None])[0]
    count = len(curve.seeds)
    low = high = se = [None] * 3
    if count > 1:
        picks = numpy_generator("learning curve").integers(0, count, (RESAMPLES, count))
        resampled = fit(curve.pairs, curve.gaps[:, picks].mean(2).T)
        bounds = np.quantile(resampled, expanded_quantiles(count), axis=0, method="inverted_cdf")
        low, high, se = bounds[0].tolist(), bounds[1].tolist(), resampled.std(0).tolist()
    quantities = (
        (measures.LEARNING_CURVE_FLOOR, 0.0, "bits/token"),
        (measures.LEARNING_CURVE_SCALE, None, "bits/token"),
        (measures.LEARNING_CURVE_EXPONENT, None, "power of pairs"),
    )
    return points + [
        Result(
            name, curve.subject, curve.world, None, float(fitted[i]), se[i], count, null, unit, None, low[i], high[i]
        )
        for i, (name, null, unit) in enumerate(quantities)
    ]


def _is_pairs(row: Result) -> bool:
    return row.measure == measures.PAIRS and row.seed is not None and row.subject != "random"


def _round_number(pairs: float) -> float:
    """Seeds of one cell keep almost the same number of pairs: to two significant digits it is the same."""
    return float(f"{pairs:.2g}")
