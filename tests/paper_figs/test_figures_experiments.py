"""The experiment files behind the figures: there, valid, and each with a small version. None is run here."""

from pathlib import Path

import pytest

from paper_figs.figures.catalogue import FIGURES
from sbp_bayes.experiment import experiment_from, load_tables
from sbp_bayes.sweep import cells_of

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SWEEPS = sorted(file for file in EXPERIMENTS.glob("sweep-*.toml") if not file.stem.endswith("-small"))
SMALL = 150_000  # documents that a small sweep's arms may read in all: a minute or two at 0.03M


def test_every_figure_that_needs_results_has_an_experiment():
    named = {entry.experiment for entry in FIGURES.values() if entry.experiment}
    assert not [name for name in named if not (EXPERIMENTS / f"{name}.toml").exists()]
    assert {file.stem for file in SWEEPS} <= named


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_sweep_is_valid_and_has_a_small_version(file):
    cells = cells_of(load_tables(file), file.stem)
    assert all(len(cell.config.seeds) == 3 for cell in cells)
    small = file.with_stem(f"{file.stem}-small")
    few = cells_of(load_tables(small), small.stem)
    assert len(few) <= len(cells)
    assert {key for cell in few for key in cell.values} <= {key for cell in cells for key in cell.values} | {
        "corpus.oracle", "training.epochs",
    }  # fmt: skip
    read = sum(
        len(c.config.seeds) * len(c.config.arms.names) * c.config.corpus.real * c.config.training.epochs for c in few
    )
    assert read <= SMALL


def test_sweeps_share_the_stages_of_the_demo():
    """A sweep's baseline is the demo's: the same documents, model and training, so that runs have stages in common."""
    demo = experiment_from(load_tables(EXPERIMENTS / "demo.toml"))
    shared = [
        file.stem
        for file in SWEEPS
        if any(
            (cell.config.corpus, cell.config.model, cell.config.training) == (demo.corpus, demo.model, demo.training)
            for cell in cells_of(load_tables(file), file.stem)
        )
    ]
    varied = {"sweep-concepts", "sweep-ambiguity"}  # worlds with dials of their own, where the demo's has a preset
    assert set(shared) == {file.stem for file in SWEEPS} - varied
