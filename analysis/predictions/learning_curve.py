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
DOCUMENTS = "corpus.real"
ALONG = ("name", DOCUMENTS, "corpus.oracle", "synthesizer.steps", "training.epochs")
NO_MATTER = ("evaluation.", "arms.")
FEWEST = 3  # numbers of documents of a curve: as many as the fit has parameters
RESAMPLES = 1000
EXPONENTS = np.linspace(0.02, 3.0, 150)


@dataclass(frozen=True)
class Curve:
    """Gaps in bits a token of one synthesizer in one world.

    pairs: (P,) ascending, a cell each; gaps: (P, S), a column a seed, NaN where a seed lacks a cell.
    """

    subject: str
    world: str
    pairs: np.ndarray
    gaps: np.ndarray
    seeds: list[int]

    @property
    def complete(self) -> np.ndarray:
        """(P, S') the gaps of the seeds that have all cells: those that are fitted."""
        return self.gaps[:, np.isfinite(self.gaps).all(0)]


def learning_curves(rows: Sequence[Result], settings: Mapping[str, Mapping]) -> list[Result]:
    """Rows of every learning curve in a sweep: its points seed by seed, and the fit with 95 % intervals over seeds.

    rows: of all cells; settings: cell -> all of its experiment, as nested tables. A curve without a fit (`why_no_fit`)
    has its points alone.
    """
    return [row for curve in curves(rows, settings) for row in _rows(curve)]


def curves(rows: Sequence[Result], settings: Mapping[str, Mapping]) -> list[Curve]:
    """The curves of a sweep, in the order of its cells: cells with three numbers of documents or more that agree in all
    else. A point is a cell; its seeds keep about the same number of pairs, of which the median is taken.

    A curve's subject says by which values, other than the corpus's, it differs from the others of the sweep.
    """
    tables = {cell: dict(_flat(nested)) for cell, nested in settings.items()}
    pairs: dict[str, list[float]] = defaultdict(list)
    gaps: dict[str, dict[int, float]] = defaultdict(dict)
    families: dict[tuple, list[str]] = defaultdict(list)
    for row in rows:
        if row.cell is None or row.seed is None:
            continue
        if row.measure == measures.PAIRS and row.subject != "random":
            pairs[row.cell].append(row.estimate)
        elif row.measure == measures.BAYES_GAP_PER_TOKEN and row.subject == measures.SYNTHESIZER:
            family = families[row.world, tuple(_shared(tables[row.cell]))]
            if row.cell not in family:
                family.append(row.cell)
            if math.isfinite(row.estimate):
                gaps[row.cell][row.seed] = row.estimate / math.log(2)
    kept = {
        key: sorted((cell for cell in cells if pairs[cell] and gaps[cell]), key=lambda cell: np.median(pairs[cell]))
        for key, cells in families.items()
        if len({tables[cell].get(DOCUMENTS) for cell in cells}) >= FEWEST
    }
    values = defaultdict(set)
    for _, rest in kept:
        for key, value in rest:
            values[key].add(value)
    result = []
    for (world, rest), cells in kept.items():
        told = [value for key, value in rest if len(values[key]) > 1 and not key.startswith("corpus.")]
        seeds = sorted({seed for cell in cells for seed in gaps[cell]})
        found = np.array([[gaps[cell].get(seed, math.nan) for seed in seeds] for cell in cells]).reshape(-1, len(seeds))
        at = np.array([float(np.median(pairs[cell])) for cell in cells])
        result.append(Curve(" ".join([measures.SYNTHESIZER, *told]), world, at, found, seeds))
    return result


def why_no_fit(curve: Curve) -> str | None:
    """Why no power law can be fitted to a curve, in words, or None."""
    if len(set(curve.pairs.tolist())) < FEWEST:
        return f"finite gaps at {len(set(curve.pairs.tolist()))} numbers of pairs only, {FEWEST} are needed"
    if not curve.complete.size:
        return "no seed has a finite gap at every number of pairs"
    return None if (curve.complete.mean(1) > 0).all() else "a gap is 0 or less, and the fit is of relative errors"


def _flat(tables: Mapping, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, value as text) of nested tables."""
    for name, value in tables.items():
        path = prefix + name
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        else:
            yield path, str(value)


def _shared(table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What all cells of a curve agree in: all but what may change along it, and what doesn't shape it."""
    return ((key, value) for key, value in table.items() if key not in ALONG and not key.startswith(NO_MATTER))


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
        if math.isfinite(gap)
    ]
    if why_no_fit(curve):
        return points
    gaps = curve.complete
    fitted = fit(curve.pairs, gaps.mean(1)[None])[0]
    count = gaps.shape[1]
    low = high = se = [None] * 3
    if count > 1:
        picks = numpy_generator("learning curve").integers(0, count, (RESAMPLES, count))
        resampled = fit(curve.pairs, gaps[:, picks].mean(2).T)
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
