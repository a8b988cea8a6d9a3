"""Result tables of every sweep, made through the real readers and writers from losses chosen by hand."""

import dataclasses
import json
from pathlib import Path

from analysis import measures
from analysis.excess_loss import MeanLoss
from analysis.rows import Rows
from analysis.summary import summarise
from sbp_bayes.experiment import ExperimentConfig, experiment_from, load_tables
from sbp_bayes.files import write_json
from sbp_bayes.results import Result, write_results
from sbp_bayes.sweep import Cell, cells_of

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FLOOR = 3.1  # nats/token of exact Bayes
SEEDS = (0, 1, 2)
EXCESS = {"repetition": 0.12, "sbp": 0.03, "random-pairs": 0.05, "exact": 0.02, "oracle": 0.018, "round-2": 0.028}
OTHER_ARMS = 0.06
OCTAVES = (1, 2, 4)


def write_sweep(tables: Path, experiment: str, seeds: tuple[int, ...] = SEEDS) -> None:
    """The table of a small sweep: SBP's loss falls from cell to cell, so that the last cell is the best."""
    settings = load_tables(EXPERIMENTS / f"{experiment}-small.toml")
    cells = cells_of(settings, experiment)
    rows = [
        dataclasses.replace(row, cell=cell.name)
        for place, cell in enumerate(cells)
        for row in cell_rows(cell.config, 1 - 0.1 * place, seeds)
    ]
    folder = tables / experiment
    folder.mkdir(parents=True)
    write_results(folder, rows)
    write_json(folder / "experiment.json", settings)
    write_json(folder / "cells.json", {cell.name: {"block": cell.block, **cell.values} for cell in cells})
    write_json(folder / "compute.json", [row for cell in cells for row in compute_rows(cell, seeds)])


def write_arms(tables: Path, seeds: tuple[int, ...] = SEEDS) -> None:
    """The table of a plain experiment with every arm."""
    config = experiment_from(load_tables(EXPERIMENTS / "arms-small.toml"))
    folder = tables / "arms"
    folder.mkdir(parents=True)
    write_results(folder, cell_rows(config, 1.0, seeds))
    write_json(folder / "experiment.json", dataclasses.asdict(config))
    compute = [
        {"cell": None, "seed": seed, "arm": arm, "training": 1e9, "end to end": 1e9 * (1 + place)}
        for seed in seeds
        for place, arm in enumerate(config.arms.names)
    ]
    write_json(folder / "compute.json", compute)
    for seed in seeds:
        left = {"left": [1.0, 0.6, 0.3], "exact": [1.0, 0.7, 0.49], "n": 64}
        write_json(folder / "seeds" / str(seed) / "pictures.json", {measures.SYNTHESIZER: {"drift": left}})


def cell_rows(config: ExperimentConfig, scale: float, seeds: tuple[int, ...]) -> list[Result]:
    """Rows of every seed and over seeds; scale: of SBP's loss."""
    found: list[Result] = []
    options = config.corpus.options
    for seed in seeds:
        rows = Rows("bow-test", seed)
        entropy = 2.7 * options.get("overlap", 0.5)
        for measure, value in ((measures.CONCEPT_ENTROPY, entropy), (measures.LOG_CONCEPTS, 2.77)):
            rows.add(measure, measures.WORLD, value, 0.01, 100, None, "nats/document")
        for arm in config.arms.names:
            excess = EXCESS.get(arm, OTHER_ARMS) * (scale if arm == "sbp" else 1) + 0.001 * seed
            for checkpoint in measures.CHECKPOINTS:
                loss = MeanLoss(FLOOR + excess, 0.01, 16 * (FLOOR + excess), 0.1, 500)
                rows.add_loss(measures.HELDOUT_LOSS, arm, checkpoint, loss, FLOOR)
                rows.add_excess(arm, checkpoint, MeanLoss(excess, 0.001, 16 * excess, 0.01, 500))
                if options.get("zipf"):
                    ranks = {octave: MeanLoss(excess * octave, 0.001, excess, 0.01, 100) for octave in OCTAVES}
                    rows.add_ranks(arm, checkpoint, ranks)
        for subject, gap in ((measures.SYNTHESIZER, scale), (measures.RANDOM_PAIRS_SYNTHESIZER, 2.0), ("exact", 0.0)):
            rows.add(measures.BAYES_GAP, subject, gap, 0.01, 100, 0.0, "nats/document")
        found += rows.results
    return summarise(found)


def compute_rows(cell: Cell, seeds: tuple[int, ...]) -> list[dict]:
    """SBP costs 2.6 times repetition; a larger model and more epochs cost more."""
    size = {"0.03M": 1.0, "0.1M": 3.8, "1M": 28.0}[cell.config.model.size]
    repetition = 1e9 * size * cell.config.training.epochs
    return [
        {"cell": cell.name, "seed": seed, "arm": arm, "training": repetition, "end to end": repetition * times}
        for seed in seeds
        for arm in cell.config.arms.names
        for times in [2.6 if arm in ("sbp", "random-pairs") else 1.0]
    ]


def change_rows(table: Path, change) -> None:
    """Rewrite a table's rows; rows that ``change`` makes None are dropped."""
    rows = json.loads((table / "results.json").read_text())
    (table / "results.json").write_text(json.dumps([row for row in map(change, rows) if row is not None]))
