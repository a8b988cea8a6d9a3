"""What a run is expected to take, told before it starts and compared with what it took.

The rates are those of the stages that this machine has finished (`sbp_bayes.expected_work` says what is in proportion
to what): of the same kind, size and source where there are some, else of the same kind; `DEFAULTS` where there is none.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from sbp_bayes.errors import UserError
from sbp_bayes.expected_work import Work, corpus_shape, expected_work
from sbp_bayes.files import read_json
from sbp_bayes.graph import RECORD, Stage
from sbp_bayes.progress import format_seconds

NEWEST = 5  # finished stages of a kind that a rate is the median of: the machine as it is now
MEASURES = ("tokens", "flops", "bytes", "seconds")
# Seconds a unit of effort on one thread of AMD EPYC, from the demo's stages; 1 for tokens, FLOPs and bytes.
DEFAULTS = {
    "corpus": 3e-7,
    "base": 5e-11,
    "embeddings": 3e-2,
    "pairs": 3e-5,
    "synthesizer": 5e-11,
    "synthesis": 5e-11,
    "base-synthesis": 5e-11,
    "plugin-synthesis": 5e-7,
    "arm": 5e-11,
    "evaluation": 5e-11,
}


@dataclass(frozen=True)
class Estimate:
    """Expected for one stage: tokens through a model, FLOPs, bytes left on disk, seconds of a worker; ``calibrated``
    where the rates are those of finished stages; ``at_most`` where the documents are not counted yet."""

    kind: str
    tokens: float
    flops: float
    bytes: float
    seconds: float
    calibrated: bool
    at_most: bool = False


@dataclass(frozen=True)
class Finished:
    """A finished stage: what it took beside what the formulas say, (4,) each, as `MEASURES`."""

    kind: str
    likeness: tuple
    took: tuple[float, ...]
    expected: Work


def estimate(stages: Sequence[Stage], root: Path) -> dict[str, Estimate]:
    """What each unfinished stage is expected to take, by the name of its folder in ``root``."""
    waiting = [stage for stage in stages if not stage.is_finished(root)]
    finished = [f for kind in {stage.kind for stage in waiting} for f in _finished(kind, root)]
    shapes = _shapes(root)
    estimates = {}
    for stage in waiting:
        corpus = stage if stage.kind == "corpus" else stage.inputs["corpus"]
        folder = corpus.folder(root)
        shape = corpus_shape(corpus.config, folder if corpus.is_finished(root) else shapes.get(_source(corpus.config)))
        work = expected_work(stage.kind, stage.config, shape)
        told = _scaled(stage, work, _likeness(stage.config, corpus.config), finished)
        estimates[stage.folder(root).name] = replace(told, at_most=shape.at_most)
    return estimates


def _scaled(stage: Stage, work: Work, likeness: tuple, finished: list[Finished]) -> Estimate:
    same_kind = [f for f in finished if f.kind == stage.kind]
    alike = [f for f in same_kind if f.likeness == likeness] or same_kind
    if not alike:
        return Estimate(stage.kind, *work.measures[:3], work.effort * DEFAULTS[stage.kind], False)
    ratios = [
        median(took / expected if expected else 0.0 for took, expected in pairs)
        for pairs in zip(*(zip(f.took, f.expected.measures, strict=True) for f in alike[:NEWEST]), strict=True)
    ]
    return Estimate(stage.kind, *(r * m for r, m in zip(ratios, work.measures, strict=True)), True)


def _likeness(settings: dict, corpus: dict) -> tuple:
    """What stages should have in common for one to tell of the other: size, source, whether predictions are put."""
    experiment = settings.get("experiment", settings)
    size = experiment.get("model", {}).get("size")
    pairing = settings.get("pairing", {})
    return (
        size,
        corpus["corpus"]["source"],
        experiment.get("evaluation", {}).get("predictions"),
        pairing.get("rule"),
        pairing.get("embedder"),
    )


def _source(settings: dict) -> str:
    """Names the source of a corpus with its options."""
    return str([settings["corpus"]["source"], settings["corpus"]["options"], settings["tokenizer"]])


def _shapes(root: Path) -> dict[str, Path]:
    """Source -> a finished corpus of it: another seed's documents are as long."""
    return {_source(record["config"]): folder for folder, record in _records("corpus", root)}


def _records(kind: str, root: Path) -> Iterable[tuple[Path, dict]]:
    """Folders and records of the finished stages of a kind, the newest last."""
    files = [(file.stat().st_mtime, file) for file in root.glob(f"{kind}-*/{RECORD}")]
    for _, file in sorted(files):
        # A kind's name may begin another's: "base-" is followed by 16 digits.
        if file.parent.name.rpartition("-")[0] == kind and not file.parent.name.endswith(".partial"):
            yield file.parent, read_json(file)


def _finished(kind: str, root: Path) -> list[Finished]:
    """The finished stages of a kind, the newest first; those whose corpus is gone, or whose keys were others, are left
    out."""
    found = []
    for folder, record in _records(kind, root):
        try:
            corpus_folder = folder if kind == "corpus" else root / record["inputs"]["corpus"]
            corpus = record["config"] if kind == "corpus" else read_json(corpus_folder / RECORD)["config"]
            work = expected_work(kind, record["config"], corpus_shape(corpus, corpus_folder))
            found.append(Finished(kind, _likeness(record["config"], corpus), took(folder, record), work))
        except (UserError, KeyError):
            continue
    return found[::-1]


def took(folder: Path, record: dict) -> tuple[float, float, float, float]:
    """Tokens, FLOPs, bytes and seconds of a finished stage."""
    size = sum((folder / file).stat().st_size for file in record["files"] if (folder / file).exists())
    ledger = record["ledger"]
    return sum(e["tokens"] for e in ledger), sum(e["flops"] for e in ledger), size, record["seconds"]


def elapsed(stages: Sequence[Stage], estimates: dict[str, Estimate], root: Path, workers: int) -> float:
    """Seconds until ``workers`` have done all stages, each begun as soon as its inputs are there and one is free."""
    waiting = [stage for stage in stages if stage.folder(root).name in estimates]
    to_come = {stage.key for stage in waiting}
    running: list[tuple[float, str]] = []
    now = 0.0
    while waiting or running:
        ready = [s for s in waiting if not any(source.key in to_come for source in s.inputs.values())]
        for stage in ready[: workers - len(running)]:
            waiting.remove(stage)
            heapq.heappush(running, (now + estimates[stage.folder(root).name].seconds, stage.key))
        now, key = heapq.heappop(running)
        to_come.discard(key)
    return now


def by_kind(estimates: Iterable[Estimate]) -> dict[str, dict[str, float]]:
    """Sums over the stages of each kind: kind -> stages, tokens, flops, bytes, seconds."""
    ordered = sorted(estimates, key=lambda e: list(DEFAULTS).index(e.kind))
    rows = {}
    for kind, group in groupby(ordered, key=lambda e: e.kind):
        members = list(group)
        rows[kind] = {"stages": len(members)} | {m: sum(getattr(e, m) for e in members) for m in MEASURES}
    return rows


def lines(estimates: dict[str, Estimate], wall: float, workers: int) -> list[str]:
    """The estimate as a small table for a terminal."""
    rows = by_kind(estimates.values())
    total = {key: sum(row[key] for row in rows.values()) for key in ("stages", *MEASURES)}
    at_most = any(e.at_most for e in estimates.values())
    shown = [("expected", "stages", "tokens", "FLOPs", "disk", "time")]
    for kind, row in [*rows.items(), ("all", total)]:
        tokens, flops = (f"{row[m]:.2g}" if row[m] else "–" for m in ("tokens", "flops"))
        shown.append(
            (kind, str(row["stages"]), tokens, flops, _megabytes(row["bytes"]), format_seconds(row["seconds"]))
        )
    guessed = sum(not e.calibrated for e in estimates.values())
    rates = "this machine's finished stages" if not guessed else f"another machine's for {guessed} stages"
    return [
        *("  ".join(f"{cell:<16}" if i == 0 else f"{cell:>8}" for i, cell in enumerate(row)) for row in shown),
        f"about {format_seconds(wall)} with {workers} workers (rates: {rates})"
        + ("; documents: at most, corpus.fit may find fewer" if at_most else ""),
    ]


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def compared(estimates: dict[str, Estimate], stages: Iterable[Stage], root: Path) -> list[dict[str, Any]]:
    """Kind by kind what was expected and what it took, of those finished ``stages`` that an estimate was made for."""
    named = {stage.folder(root).name: stage for stage in stages}
    told = {name: e for name, e in estimates.items() if name in named and named[name].is_finished(root)}
    actual = [
        Estimate(e.kind, *took(root / name, read_json(root / name / RECORD)), e.calibrated) for name, e in told.items()
    ]
    expected, found = by_kind(told.values()), by_kind(actual)
    return [{"kind": kind, "expected": expected[kind], "took": found[kind]} for kind in expected]


def read_estimates(file: Path) -> dict[str, Estimate]:
    """The estimates that an earlier start of the same run made; none where there is no such file, or another's."""
    try:
        return {name: Estimate(**values) for name, values in read_json(file).items()}
    except (UserError, TypeError, AttributeError):
        return {}
