"""`sbp figures` as it is called: files written, missing results named, fresh runs collected."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paper_figs.figures.collect import CONTROLS, collect
from paper_figs.figures_command import FiguresError, figures
from paper_figs.run_files import read_results
from sbp_bayes.cli import main

COMMITTED = Path(__file__).parents[2] / "experiments" / "results"
FORBIDDEN = ("torch", "pyro", "sbp_bayes", "synthetic_worlds", "analysis", "pyarrow", "pandas")


def test_what_has_results_is_drawn_and_the_rest_is_named(tmp_path, capsys):
    stale = tmp_path / "rounds.svg"
    stale.write_text("of results that are gone")
    wanted = ("workflow", "frontier", "rounds")
    arguments = ["--out", str(tmp_path), "--tables", str(COMMITTED)]
    assert figures([*arguments, *(word for name in wanted for word in ("--only", name))]) == 0
    said = capsys.readouterr().out
    assert "rounds                  no results yet: sbp run experiments/arms.toml" in said
    assert "2 of 3 figures" in said
    assert {file.name for file in tmp_path.iterdir()} == {"index.html"} | {
        f"{name}.{kind}" for name in ("workflow", "frontier") for kind in ("svg", "pdf", "txt")
    }
    page = (tmp_path / "index.html").read_text()
    assert page.count("<svg") == 2 and "no results yet" in page
    assert "5 seeds" in (tmp_path / "frontier.txt").read_text()


def test_drawing_twice_gives_the_same_bytes(tmp_path):
    for out in ("a", "b"):
        figures(["--out", str(tmp_path / out), "--tables", str(COMMITTED), "--only", "frontier"])
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_figures_read_files_only(tmp_path):
    """In a process where every package of ours but paper_figs, and torch, cannot be imported."""
    program = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FORBIDDEN}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from paper_figs.figures_command import figures
figures(["--out", {str(tmp_path)!r}, "--tables", {str(COMMITTED)!r}])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"workflow.pdf", "training-dynamics.pdf", "table-1.pdf"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "figure-9"], "--only figure-9: no such figure; there are workflow,"),
        (["--tables", "nowhere"], "--tables nowhere: no such folder"),
        (["--rerun", "--only", "alpha", "--experiments", "nowhere"], "nowhere/sweep-alpha.toml: no such experiment"),
    ],
)
def test_bad_input_is_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["figures", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_rerun_calls_sbp_run_and_tells_of_a_failure(tmp_path, capfd):
    experiments = tmp_path / "experiments"
    experiments.mkdir()
    (experiments / "sweep-alpha.toml").write_text("no = 1\n")
    asked = ["--rerun", "--only", "alpha", "--experiments", str(experiments), "--runs", str(tmp_path / "runs")]
    with pytest.raises(FiguresError, match=r"sweep-alpha\.toml: ended with exit code 2"):
        figures([*asked, "--tables", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "corpus: expected one source table" in capfd.readouterr().err
    assert not (tmp_path / "sweep-alpha").exists()


def test_a_run_becomes_a_small_table(run, tmp_path):
    table = tmp_path / "results" / "small"
    collect(run, table)
    (table / "left over").touch()
    collect(run, table)
    assert not (table / "left over").exists()
    assert json.loads((table / "experiment.json").read_text())["name"] == table.name
    full, small = read_results(run), read_results(table)
    assert 0 < len(small.rows) < len(full.rows)
    assert not {row["subject"] for row in small.rows} & set(CONTROLS)
    before, after = (r.over_seeds("excess_loss final", "sbp") for r in (full, small))
    assert after["estimate"] == pytest.approx(before["estimate"], rel=1e-5)
    assert sum(f.stat().st_size for f in table.rglob("*") if f.is_file()) < 100_000
    line = json.loads((table / "metrics" / "0" / "sbp.jsonl").read_text().splitlines()[-1])
    assert line == {"step": 640, "tokens": 640_000, "validation_loss": pytest.approx(2.925, abs=1e-3)}


def test_texts_are_of_the_first_seed_document_with_several(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "runs" / "tiny")
    written = {"seed_doc": [2, 1, 2, 1, 2, 1, 1, 0], "text": list("abcdefgh")}
    for folder, columns in (("corpus-1/real", {"text": ["zero", "one", "two"]}), ("synthesis-1/corpus", written)):
        (tmp_path / "runs" / "stages" / folder).mkdir(parents=True)
        pq.write_table(pa.table(columns), tmp_path / "runs" / "stages" / folder / "part-00000.parquet")
    links = {"corpus": "../stages/corpus-1", "synthetic/sbp": "../stages/synthesis-1"}
    (copy / "seeds" / "0" / "stages.json").write_text(json.dumps(links))
    collect(copy, tmp_path / "table")
    found = json.loads((tmp_path / "table" / "variations.json").read_text())
    assert found == {"seed": 0, "d1": "one", "synthesized": ["b", "d", "f", "g"]}


def test_a_sweep_becomes_a_table_of_its_cells(run, tmp_path):
    sweep = tmp_path / "sweep"
    for cell in ("grid-1", "grid-2"):
        shutil.copytree(run, sweep / "cells" / cell)
        compute = {"0": {"sbp": {"training": 1.0, "end to end": 2.0 if cell == "grid-1" else 3.0}}}
        (sweep / "cells" / cell / "provenance.json").write_text(json.dumps({"compute": compute, "version": "0"}))
    (sweep / "cells.json").write_text(json.dumps({c: {"block": "grid"} for c in ("grid-1", "grid-2")}))
    (sweep / "results.json").write_text(json.dumps([{**r, "cell": "grid-1"} for r in read_results(run).rows]))
    collect(sweep, tmp_path / "table")
    spent = json.loads((tmp_path / "table" / "compute.json").read_text())
    assert [(row["cell"], row["end to end"]) for row in spent] == [("grid-1", 2.0), ("grid-2", 3.0)]
    assert json.loads((tmp_path / "table" / "provenance.json").read_text()) == {"version": "0"}
    assert not (tmp_path / "table" / "metrics").exists()
