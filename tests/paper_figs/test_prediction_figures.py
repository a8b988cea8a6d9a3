"""Verdicts and pictures of the predictions, drawn from a sweep written through the real writers."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from analysis import measures
from analysis.bayes_gap import bayes_gap
from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions import closeness, near_duplicates, wrong_pairs
from analysis.predictions.pictures import pictures_of
from analysis.predictions.stored import Measured, write_findings
from analysis.predictions.subject import Subject, known_subject
from analysis.rows import Rows
from analysis.summarise_sweep import summarise_sweep
from analysis.synthesizers import ExactSynthesizer, MapSynthesizer, TemperedSynthesizer, TransformerSynthesizer
from paper_figs import copy_rate, learning_curve, report, sweep_report, verdict_matrix
from paper_figs.chosen_cells import shown
from paper_figs.run_files import read_results, read_verdicts
from paper_figs.verdict_table import section
from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.files import write_json
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.results import write_results
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling

DOCUMENTS = 96


def world_of(seed: int):
    return make_world("bow", seed=seed, length=6, concepts=4, vocabulary=8)


def named(synthesizer):
    """A known synthesizer in the place of a trained one."""
    synthesizer.name = measures.SYNTHESIZER
    return synthesizer


def network(world) -> TransformerSynthesizer:
    """An untrained network: pictures that look inside need one."""
    tokenizer = SymbolTokenizer(world.V)
    shape = ModelConfig(vocabulary_size=tokenizer.vocabulary_size, width=16, layers=1, heads=2, kv_heads=1,
                        head_dim=8, hidden=24, tied=True)  # fmt: skip
    return TransformerSynthesizer(Transformer(shape).init(generator("network")), tokenizer)


def tempered(temperature: float):
    def make(seed: int) -> Subject:
        world = world_of(seed)
        synthesizer = named(TemperedSynthesizer(ExactSynthesizer(world), temperature))
        return replace(known_subject(synthesizer, world, DOCUMENTS, seed), model=network(world))

    return make


def of_pairs(actual: PairSampling, expected: PairSampling):
    def make(seed: int) -> Subject:
        world = world_of(seed)
        return known_subject(named(PairLawSynthesizer(world, actual)), world, DOCUMENTS, seed, expected)

    return make


def of_map(seed: int) -> Subject:
    world = world_of(seed)
    return known_subject(named(MapSynthesizer(world)), world, DOCUMENTS, seed)


COPIED = PairSampling(near_duplicate=0.05)
CELLS = {  # cell: values, pairs, subject, measure
    "pairs-1": ({"corpus.real": 50}, 100, tempered(0.5), closeness.measure),
    "pairs-2": ({"corpus.real": 100}, 200, tempered(0.7), closeness.measure),
    "pairs-3": ({"corpus.real": 200}, 400, tempered(0.9), closeness.measure),
    "map": ({"model.size": "1M"}, 400, of_map, closeness.measure),
    "copies-100": (
        {"pairing.near_duplicate": 0.05, "synthesizer.steps": 100},
        400,
        of_pairs(PairSampling(near_duplicate=0.001), COPIED),
        near_duplicates.measure,
    ),
    "copies-900": (
        {"pairing.near_duplicate": 0.05, "synthesizer.steps": 900},
        400,
        of_pairs(COPIED, COPIED),
        near_duplicates.measure,
    ),
    "clean": ({"model.size": "2M"}, 400, of_pairs(PairSampling(wrong=0.5), PairSampling()), near_duplicates.measure),
    "wrong": (
        {"pairing.wrong": 0.3},
        400,
        of_pairs(PairSampling(wrong=0.3), PairSampling(wrong=0.3)),
        wrong_pairs.measure,
    ),
}


def write_cell(folder: Path, pairs: int, make, measure) -> None:
    for seed in (0, 1):
        subject = make(seed)
        rows = Rows("bow-tiny", seed)
        rows.add(measures.PAIRS, "truth", pairs, None, pairs, None, "pairs")
        rows.add_gap(bayes_gap(subject.synthesizer, subject.world, subject.d1, subject.related))
        out = folder / "seeds" / str(seed)
        write_results(out, rows.results)
        write_findings(out, [Measured(found, rows.world, seed) for found in measure(subject)])
        write_json(out / "pictures.json", {subject.name: pictures_of(subject)})


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("predictions") / "sweep"
    write_json(run / "cells.json", {cell: {"block": cell, **values} for cell, (values, *_) in CELLS.items()})
    for cell, (values, pairs, make, measure) in CELLS.items():
        write_json(run / "cells" / cell / "experiment.json", values)
        write_cell(run / "cells" / cell, pairs, make, measure)
    summarise_sweep(run)
    return run


@pytest.mark.parametrize("name", sweep_report.FIGURES)
def test_every_figure_of_a_sweep_is_drawn_and_says_n_and_seeds(sweep, name):
    module = sweep_report.FIGURES[name]
    drawn = module.draw(sweep)
    assert drawn is not None and any(axes.has_data() for axes in drawn.axes)
    caption = module.caption(sweep)
    assert "2 seeds" in caption and ("document" in caption or "pair" in caption) and caption.endswith(".")


@pytest.mark.parametrize("name", report.OF_PREDICTIONS)
def test_a_run_of_its_own_has_the_pictures_too(sweep, name):
    """A cell's folder is a run folder."""
    cell = sweep / "cells" / ("wrong" if name == "adaptive-weight" else "pairs-3")
    assert report.OF_PREDICTIONS[name].draw(cell) is not None
    assert "bow-tiny" in report.OF_PREDICTIONS[name].caption(cell)


def test_without_predictions_nothing_is_drawn(run):
    """The run of these tests' conftest has none."""
    for module in report.OF_PREDICTIONS.values():
        assert module.draw(run) is None and module.caption(run) is None
    assert section(run) == []


def test_the_matrix_has_a_mark_for_each_verdict_told_apart_without_colour(sweep):
    drawn = verdict_matrix.draw(sweep)
    (axes,) = drawn.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CELLS)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["P1", "P7", "P8"]
    looks = {(mark["marker"], mark.get("mfc")) for mark in verdict_matrix.MARKS.values()}
    assert len(looks) == 4
    marks = {tuple(line.get_xydata()[0]): line.get_marker() for line in axes.get_lines() if len(line.get_xdata())}
    assert marks[0, 3] == verdict_matrix.MARKS["REFUTED"]["marker"]  # the plug-in is refuted by P1
    assert (
        marks[2, list(CELLS).index("clean")] == verdict_matrix.MARKS["CONTROL"]["marker"]
    )  # of P8: no copies anywhere
    assert "refute" in verdict_matrix.caption(sweep) and "1 control passed" in verdict_matrix.caption(sweep)


def test_the_learning_curve_draws_its_fit_through_its_points(sweep):
    results = read_results(sweep)
    points = [row for row in results.rows if row["measure"] == "learning_curve"]
    assert [row["at"] for row in points] == [100, 100, 200, 200, 400, 400]
    drawn = learning_curve.draw(sweep)
    lines = drawn.axes[0].get_lines()
    assert any(len(line.get_xdata()) == 6 for line in lines) and any(len(line.get_xdata()) == 100 for line in lines)
    exponent = next(row for row in results.rows if row["measure"] == "learning_curve exponent")
    assert f"exponent {exponent['estimate']:.3g}" in learning_curve.caption(sweep)


def test_copies_are_drawn_against_steps(sweep):
    (axes,) = copy_rate.draw(sweep).axes
    (line, *_) = axes.containers[0]
    assert list(line.get_xdata()) == [100, 900]
    assert line.get_ydata()[0] < line.get_ydata()[1] == pytest.approx(5, abs=1)


def test_the_best_cell_of_a_kind_of_world_is_shown(sweep):
    (found,) = shown(sweep, "temperature")
    assert found.cell == "pairs-3" and list(found.pictures) == [0, 1]
    assert shown(sweep, "beauty") == []


def test_both_reports_have_the_verdicts(sweep, tmp_path):
    copy = shutil.copytree(sweep, tmp_path / "sweep")
    sweep_report.write_sweep_report(copy)
    whole = (copy / "report.html").read_text()
    assert whole.index("<figure>") < whole.index("<h2>Verdicts</h2>") < whole.index("<h2>Cells</h2>")
    assert whole.count("<svg") == len(sweep_report.FIGURES)
    cell = copy / "cells" / "map"
    report.write_report(cell)
    page = (cell / "report.html").read_text()
    assert "P1 Bayes gap" in page and "<td>REFUTED</td>" in page
    assert {row["verdict"] for row in read_verdicts(copy)} >= {"REFUTED", "SUPPORTED"}
    assert whole.rindex("<td>REFUTED</td>") < whole.index("<td>SUPPORTED</td>")


def test_a_damaged_file_of_pictures_is_named(sweep, tmp_path):
    copy = shutil.copytree(sweep / "cells" / "pairs-3", tmp_path / "cell")
    (copy / "seeds" / "1" / "pictures.json").write_text(json.dumps({})[:-1])
    with pytest.raises(ValueError, match=r"pictures.json: damaged"):
        shown(copy, "temperature")
