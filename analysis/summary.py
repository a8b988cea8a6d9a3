"""What a run shows over its seeds: the reporter plugin ``summary`` (entry point group ``sbp_bayes.reporters``)."""

import math
from collections import defaultdict
from pathlib import Path

from analysis import measures
from analysis.predictions.over_seeds import write_verdicts
from analysis.recovery import Interval, gain, mean_interval, recovered_share
from sbp_bayes.errors import UserError
from sbp_bayes.results import Result, read_results, write_results


def summarise_run(run: Path) -> None:
    """Gather ``seeds/<seed>/`` of a run folder into its ``results.json`` and ``results.parquet``.

    The table holds each seed's rows, each seed's gains and recovered shares, and rows over seeds (seed None) with 95 %
    bootstrap intervals. Findings of the predictions, where there are any, are gathered into ``findings.json`` and
    judged in ``verdicts.json``. Running it twice changes nothing. UserError without seeds.
    """
    folders = sorted((f for f in (run / "seeds").glob("*") if f.is_dir()), key=lambda folder: int(folder.name))
    if not folders:
        raise UserError(f"{run / 'seeds'}: no seed has been evaluated there")
    write_results(run, summarise([row for folder in folders for row in read_results(folder)]))
    write_verdicts(run)


def summarise(rows: list[Result]) -> list[Result]:
    """The rows of all seeds, and what follows from them."""
    by_world = defaultdict(list)
    for row in rows:
        by_world[row.world].append(row)
    derived = [row for world, own in by_world.items() for row in _over_arms(own, world)]
    return [*rows, *derived, *_means([*rows, *(r for r in derived if r.seed is not None)])]


def _over_arms(rows: list[Result], world: str) -> list[Result]:
    """Gains and recovered shares, per seed and over seeds, from held-out losses. In a world the exact loss cancels."""
    derived: list[Result] = []
    for checkpoint in measures.CHECKPOINTS:
        name = measures.at_checkpoint(measures.HELDOUT_LOSS, checkpoint)
        found = {(r.subject, r.seed): r.estimate for r in rows if r.measure == name}
        seeds = sorted({seed for _, seed in found})
        arms = [a for a in dict.fromkeys(a for a, _ in found) if all((a, s) in found for s in seeds)]
        if measures.REPETITION not in arms:
            continue
        for seed in seeds:
            derived += _gains_and_shares({arm: [found[arm, seed]] for arm in arms}, world, seed, checkpoint)
        losses = {arm: [found[arm, seed] for seed in seeds] for arm in arms}
        derived += _gains_and_shares(losses, world, None, checkpoint)
    return derived


def _gains_and_shares(losses: dict[str, list[float]], world: str, seed: int | None, checkpoint: str) -> list[Result]:
    arms = [arm for arm in losses if arm != measures.REPETITION]
    rows = [
        _row(measures.GAIN, arm, world, seed, checkpoint, gain(losses, arm, measures.REPETITION), "nats/token")
        for arm in arms
    ]
    both = measures.SBP in arms and measures.RANDOM_PAIRS in arms
    if both:
        interval = gain(losses, measures.SBP, measures.RANDOM_PAIRS)
        subject = measures.SBP_MINUS_RANDOM_PAIRS
        rows.append(_row(measures.GAIN, subject, world, seed, checkpoint, interval, "nats/token"))
    if measures.ORACLE not in arms:
        return rows
    shares = {arm: recovered_share(losses, arm) for arm in arms if arm != measures.ORACLE}
    if both:
        shares[measures.SBP_MINUS_RANDOM_PAIRS] = recovered_share(losses, measures.SBP, minus=measures.RANDOM_PAIRS)
    return rows + [
        _row(measures.RECOVERED, subject, world, seed, checkpoint, interval, "share")
        for subject, interval in shares.items()
    ]


def _row(
    measure: str, subject: str, world: str, seed: int | None, checkpoint: str, interval: Interval, unit: str
) -> Result:
    return Result(
        measures.at_checkpoint(measure, checkpoint),
        subject,
        world,
        seed,
        interval.estimate,
        interval.se,
        interval.n,
        0.0,
        unit,
        low=interval.low,
        high=interval.high,
    )


def _means(rows: list[Result]) -> list[Result]:
    """The mean over seeds of every measure that is not a gain or a share, which have rows over seeds of their own."""
    own = tuple(measures.at_checkpoint(m, c) for m in (measures.GAIN, measures.RECOVERED) for c in measures.CHECKPOINTS)
    groups: dict[tuple, list[Result]] = defaultdict(list)
    for row in rows:
        if row.measure not in own:
            groups[row.measure, row.subject, row.world, row.at, row.unit].append(row)
    means = []
    for (measure, subject, world, at, unit), members in groups.items():
        values = [row.estimate for row in members]
        nulls = [row.null for row in members]
        null = None if None in nulls else sum(nulls) / len(nulls)
        # An infinite gap was stored as no number; over seeds it stays that.
        defined = all(map(math.isfinite, values))
        mean = mean_interval(values) if defined else Interval(math.nan, None, None, None, len(values))
        means.append(
            Result(measure, subject, world, None, mean.estimate, mean.se, mean.n, null, unit, at, mean.low, mean.high)
        )
    return means
