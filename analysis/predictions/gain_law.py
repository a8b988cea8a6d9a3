"""P12: what pairs are worth for pretraining rises and falls with how ambiguous documents are.

The gain of true pairs over random ones, so that what any smoothing gives is not counted: 0 where a document identifies
its concept (pairs tell nothing new), 0 where nothing tells of it (no one can learn the pairs), something in between.

One world stands for each kind, chosen by how ambiguous its documents are and never by its gain; worlds of different
ambiguity are not averaged, since a mean over the slopes of a hill says nothing of its height. For the clear ones it is
the clearest, for the obscure ones the most obscure: the statement is about those limits. For the middle it is the world
nearest to H(c|d1) = .79 nats of log 16 (.28): of the pilots' ambiguous worlds that is the one where an ideal learner
gained most over random pairs (62 % of the oracle's gain, against 9 % at .60 and 3 % at .77 of log 16), known before any
network was trained. A hill needs one place that is higher than both ends. Every world's gain is reported all the same.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis import measures
from analysis.predictions.finding import Finding, finding
from analysis.predictions.subject import Subject
from sbp_bayes.results import Result

PREDICTION = "P12"
# Below and above these shares of log C a document's concept is clear and obscure (the pilots' first ground rule).
CLEAR, OBSCURE = 0.2, 0.8
PEAK = 0.79 / math.log(16)  # share of log C where the pilots' ideal learner gained most, see above
RISE = 0.2  # share of the oracle's gain that ambiguity is expected to add at least
INFORMATIVE = 1e-3  # nats/document of I(d1;d2) below which a world is a null world
STANDS_FOR = {"null": 1.0, "clear": 0.0, "middle": PEAK, "obscure": 1.0}  # share of log C, kind by kind
QUANTITIES = {  # quantity -> the kinds of world that it takes: the first one's gain, less the second one's
    "gain in null worlds": ("null",),
    "gain in clear worlds": ("clear",),
    "middle over clear": ("middle", "clear"),
    "middle over obscure": ("middle", "obscure"),
}


def applies(subject: Subject) -> str | None:
    """Always a reason: no synthesizer has a gain by itself."""
    return "it is judged on the arms of runs in several worlds, not on a synthesizer"


def measure(subject: Subject) -> list[Finding]:
    """No findings of a synthesizer; see `gain_law`."""
    return []


@dataclass(frozen=True)
class WorldGain:
    """One world of a study: ambiguity, H(c|d1) / log C; information, I(d1;d2) in nats a document; gains: (seeds,) of
    true over random pairs in nats/token; to_gain: of the oracle over repetition, mean over seeds, over 0."""

    world: str
    ambiguity: float
    information: float
    gains: np.ndarray
    to_gain: float

    @property
    def shares(self) -> np.ndarray:
        """(seeds,) of what there is to gain."""
        return self.gains / self.to_gain

    @property
    def is_null(self) -> bool:
        """Whether one document says nothing of another."""
        return self.information < INFORMATIVE


def world_gains(results: Sequence[Result], checkpoint: str = measures.BEST) -> list[WorldGain]:
    """The worlds of ``results`` in which arms were trained on true and on random pairs, the clearest first.

    Two cells of one world are two. Left out: worlds without H(c|d1), as where concepts are a continuum, and those in
    which the oracle gains nothing.
    """
    loss = measures.at_checkpoint(measures.HELDOUT_LOSS, checkpoint)
    losses: dict[tuple, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    figures: dict[tuple, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in results:
        if row.seed is None:
            continue
        if row.measure == loss:
            losses[row.cell, row.world][row.subject][row.seed] = row.estimate
        elif row.subject == measures.WORLD:
            figures[row.cell, row.world][row.measure].append(row.estimate)
    found = []
    for place, arms in losses.items():
        entropy, most = (figures[place][name] for name in (measures.CONCEPT_ENTROPY, measures.LOG_CONCEPTS))
        gains = _differences(arms, measures.RANDOM_PAIRS, measures.SBP)
        reference = _differences(arms, measures.REPETITION, measures.ORACLE)
        to_gain = float(reference.mean()) if len(reference) else 0.0
        if len(gains) and to_gain > 0 and entropy and most and np.mean(most) > 0:
            information = float(np.mean(figures[place][measures.PAIR_INFORMATION]))
            found.append(WorldGain(place[1], float(np.mean(entropy) / np.mean(most)), information, gains, to_gain))
    return sorted(found, key=lambda gain: gain.ambiguity)


def chosen_worlds(gains: Sequence[WorldGain]) -> dict[str, WorldGain]:
    """Kind -> the world that stands for it, by its ambiguity alone; kinds without a world are left out."""
    kinds: dict[str, list[WorldGain]] = defaultdict(list)
    for gain in gains:
        kinds[_kind(gain)].append(gain)
    return {
        kind: min(kinds[kind], key=lambda gain: abs(gain.ambiguity - at))
        for kind, at in STANDS_FOR.items()
        if kind in kinds
    }


def gain_law(chosen: Mapping[str, WorldGain]) -> list[Finding]:
    """Gain in a null world and in a clear one; that of the middle over a clear and over an obscure one, as shares of
    what the oracle gains over repetition there. chosen: as `chosen_worlds` gives it.

    All four quantities, or none without worlds: one that lacks a world is undefined, of 0 runs, so that the prediction
    is not supported by what was left to measure. Seeds are the units; their spread within a world gives the error.
    """
    return [_of(quantity, [chosen.get(kind) for kind in kinds]) for quantity, kinds in QUANTITIES.items() if chosen]


def missing_kinds(quantity: str, chosen: Mapping[str, WorldGain]) -> list[str]:
    """The kinds of world that a quantity takes and that are not there."""
    return [kind for kind in QUANTITIES[quantity] if kind not in chosen]


def _of(quantity: str, worlds: list[WorldGain | None]) -> Finding:
    null = RISE if len(worlds) == 2 else 0.0
    if None in worlds:
        return finding(PREDICTION, quantity, measures.SBP_MINUS_RANDOM_PAIRS, math.nan, math.inf, 0, null)
    means, errors = [float(world.shares.mean()) for world in worlds], [_error(world) for world in worlds]
    value = means[0] - sum(means[1:])
    runs = sum(len(world.shares) for world in worlds)
    found = finding(PREDICTION, quantity, measures.SBP_MINUS_RANDOM_PAIRS, value, math.hypot(*errors), runs, null)
    # The smaller degrees of freedom are on the safe side (Welch's lie between them and the sum).
    return replace(found, df=max(1, min(len(world.shares) for world in worlds) - 1))


def _error(world: WorldGain) -> float:
    """Standard error of the mean share over seeds; infinite of a single one."""
    count = len(world.shares)
    return float(world.shares.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf


def _kind(gain: WorldGain) -> str:
    if gain.is_null:
        return "null"
    return "clear" if gain.ambiguity < CLEAR else "obscure" if gain.ambiguity > OBSCURE else "middle"


def _differences(arms: dict[str, dict[int, float]], above: str, below: str) -> np.ndarray:
    """Loss of ``above`` less that of ``below`` for each seed that has both, finite ones."""
    seeds = sorted(set(arms.get(above, {})) & set(arms.get(below, {})))
    values = np.array([arms[above][seed] - arms[below][seed] for seed in seeds])
    return values[np.isfinite(values)]
