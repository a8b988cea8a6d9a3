"""P12: what pairs are worth for pretraining rises and falls with how ambiguous documents are.

The gain of true pairs over random ones, so that what any smoothing gives is not counted: 0 where a document identifies
its concept (pairs tell nothing new), 0 where nothing tells of it (no one can learn the pairs), something in between.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis import measures
from analysis.predictions.finding import Finding, finding
from analysis.predictions.subject import Subject
from sbp_bayes.results import Result

PREDICTION = "P12"
# Below and above these shares of log C a document's concept is clear and obscure (the pilots' first ground rule).
CLEAR, OBSCURE = 0.2, 0.8
RISE = 0.2  # share of the oracle's gain that ambiguity is expected to add at least
INFORMATIVE = 1e-3  # nats/document of I(d1;d2) below which a world is a null world


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

    Left out: worlds without H(c|d1), as where concepts are a continuum, and those in which the oracle gains nothing.
    """
    loss = measures.at_checkpoint(measures.HELDOUT_LOSS, checkpoint)
    losses: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in results:
        if row.seed is None:
            continue
        if row.measure == loss:
            losses[row.world][row.subject][row.seed] = row.estimate
        elif row.subject == measures.WORLD:
            figures[row.world][row.measure].append(row.estimate)
    found = []
    for world, arms in losses.items():
        entropy, most = (figures[world][name] for name in (measures.CONCEPT_ENTROPY, measures.LOG_CONCEPTS))
        gains = _differences(arms, measures.RANDOM_PAIRS, measures.SBP)
        reference = _differences(arms, measures.REPETITION, measures.ORACLE)
        to_gain = float(reference.mean()) if len(reference) else 0.0
        if len(gains) and to_gain > 0 and entropy and most and np.mean(most) > 0:
            information = float(np.mean(figures[world][measures.PAIR_INFORMATION]))
            found.append(WorldGain(world, float(np.mean(entropy) / np.mean(most)), information, gains, to_gain))
    return sorted(found, key=lambda gain: gain.ambiguity)


def gain_law(results: Sequence[Result], checkpoint: str = measures.BEST) -> list[Finding]:
    """Gain in null worlds and in clear ones; that of ambiguous worlds over clear and over obscure ones, as shares of
    what the oracle gains over repetition there.

    Seeds are the units: each world's gain is a mean over its own, and worlds of a kind count equally. The spread over
    seeds is pooled within a kind, and its degrees of freedom are few. Of kinds without a world nothing is found.
    """
    kinds: dict[str, list[WorldGain]] = defaultdict(list)
    for gain in world_gains(results, checkpoint):
        kinds[_kind(gain)].append(gain)
    found = {kind: _mean_gain(gains) for kind, gains in kinds.items()}
    findings = [_finding(f"gain in {kind} worlds", found[kind]) for kind in ("null", "clear") if kind in found]
    for kind in ("clear", "obscure"):
        if kind in found and "middle" in found:
            middle, other = found["middle"], found[kind]
            # The smaller degrees of freedom are on the safe side (Welch's lie between them and the sum).
            contrast = _Mean(
                middle.value - other.value,
                math.hypot(middle.se, other.se),
                middle.runs + other.runs,
                min(middle.freedom, other.freedom),
            )
            findings.append(_finding(f"middle over {kind}", contrast, RISE))
    return findings


@dataclass(frozen=True)
class _Mean:
    """A mean share, its standard error, the runs it rests on and the error's degrees of freedom."""

    value: float
    se: float
    runs: int
    freedom: int


def _finding(quantity: str, mean: _Mean, null: float = 0.0) -> Finding:
    found = finding(PREDICTION, quantity, measures.SBP_MINUS_RANDOM_PAIRS, mean.value, mean.se, mean.runs, null)
    return replace(found, df=mean.freedom)


def _kind(gain: WorldGain) -> str:
    if gain.is_null:
        return "null"
    return "clear" if gain.ambiguity < CLEAR else "obscure" if gain.ambiguity > OBSCURE else "middle"


def _differences(arms: dict[str, dict[int, float]], above: str, below: str) -> np.ndarray:
    """Loss of ``above`` less that of ``below`` for each seed that has both, finite ones."""
    seeds = sorted(set(arms.get(above, {})) & set(arms.get(below, {})))
    values = np.array([arms[above][seed] - arms[below][seed] for seed in seeds])
    return values[np.isfinite(values)]


def _mean_gain(gains: list[WorldGain]) -> _Mean:
    """Mean over worlds; its standard error from the spread over seeds within each world, infinite of single seeds."""
    runs = sum(len(gain.shares) for gain in gains)
    mean = float(np.mean([gain.shares.mean() for gain in gains]))
    freedom = runs - len(gains)
    if freedom < 1:
        return _Mean(mean, math.inf, runs, 1)
    spread = sum(((gain.shares - gain.shares.mean()) ** 2).sum() for gain in gains) / freedom
    se = math.sqrt(spread * sum(1 / len(gain.shares) for gain in gains)) / len(gains)
    return _Mean(mean, se, runs, freedom)
