"""The command: known synthesizers, finished runs and sweeps, and what it says of bad input."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.predictions.finished_run import judge_run
from sbp_bayes.cli import main
from sbp_bayes.results import read_results

TINY = """
seeds = [0, 1]
[corpus]
real = 96
validation = 8
heldout = 128
oracle = 96
[corpus.world]
name = "style"
length = 6
vocabulary = 8
concepts = 3
styles = 2
[model]
size = "0.03M"
[training]
epochs = 1
[pairing]
pairs_per_document = 2
shingle = 0
[synthesizer]
steps = 2
heldout_share = 0.4
[arms]
names = []
[evaluation]
documents = 128
controls = false
predictions = true
[sweep.plain]
[sweep.wrong]
pairing.wrong = 0.3
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished sweep whose synthesizers were hardly trained, judged as it ran."""
    folder = tmp_path_factory.mktemp("validate")
    (folder / "tiny.toml").write_text(TINY)
    assert main(["run", str(folder / "tiny.toml"), "--out", str(folder / "runs"), "--workers", "1"]) == 0
    return folder / "runs" / "tiny"


def verdicts(run: Path) -> list[dict]:
    return json.loads((run / "verdicts.json").read_text())


def test_a_run_with_predictions_has_findings_verdicts_rows_and_pictures(run):
    found = verdicts(run)
    assert {row["cell"] for row in found} == {"plain", "wrong"}
    plain = {row["prediction"] for row in found if row["cell"] == "plain"}
    assert {"P1", "P3", "P6", "P10", "P14", "P16"} <= plain and "P9" not in plain
    noisy = {row["prediction"] for row in found if row["cell"] == "wrong"}
    assert {"P7", "P9"} <= noisy and "P1" not in noisy
    assert {tuple(row["seeds"]) for row in found if row["quantity"] in ("gap", "share of wrong pairs")} == {(0, 1)}
    # Two steps of training teach nothing, and the predictions see it.
    assert {row["verdict"] for row in found if row["quantity"] == "share of information"} == {"REFUTED"}
    rows = read_results(run / "cells" / "wrong")
    assert {row.seed for row in rows if row.measure == "P7 share of wrong pairs"} == {0, 1, None}
    drawn = json.loads((run / "cells" / "wrong" / "seeds" / "1" / "pictures.json").read_text())
    assert len(drawn["synthesizer"]["adaptive-weight"]["related"]) == 6


def test_a_sweep_is_answered_from_what_is_stored_with_one_line_a_prediction(run, capsys):
    before = (run / "report.html").stat().st_mtime_ns
    assert main(["validate", str(run)]) == 1
    shown = capsys.readouterr().out
    assert shown.count("plain: P1 ") == 1 and shown.index("REFUTED") < shown.index("INCONCLUSIVE")
    assert (run / "report.html").stat().st_mtime_ns == before


def test_what_is_missing_is_judged_and_comes_out_the_same(run, capsys):
    before, seed = verdicts(run), run / "cells" / "wrong" / "seeds" / "0"
    rows = sorted(map(str, read_results(seed)))
    (seed / "findings.json").unlink()
    main(["validate", str(run)])
    assert (seed / "findings.json").exists() and verdicts(run) == before
    assert "Verdicts" in (run / "report.html").read_text()
    assert sorted(map(str, read_results(seed))) == rows  # judged twice, told once


def test_a_seed_counts_as_judged_once_its_rows_are_written(run, tmp_path, monkeypatch):
    """Stopped while it writes the rows, it is judged again, and nothing is lost or doubled."""
    copy = shutil.copytree(run, tmp_path / "tiny", symlinks=True)
    seed = copy / "cells" / "plain" / "seeds" / "1"
    for file in copy.glob("cells/*/seeds/*/stages.json"):  # relative to the run's own folder
        stages = json.loads(file.read_text())
        cell = run / file.relative_to(copy).parents[2]
        file.write_text(json.dumps({name: str((cell / path).resolve()) for name, path in stages.items()}))
    rows = sorted(map(str, read_results(seed)))
    (seed / "findings.json").unlink()

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("analysis.predictions.evaluator.write_results", stopped)
        judge_run(copy / "cells" / "plain")
    assert not (seed / "findings.json").exists()
    assert judge_run(copy / "cells" / "plain") and not judge_run(copy / "cells" / "plain")
    assert sorted(map(str, read_results(seed))) == rows


@pytest.mark.parametrize("content", ["{", "{}", "null", "[3]", '[{"quantity": "gap"}]'])
def test_damaged_findings_of_a_seed_are_named(run, tmp_path, capsys, content):
    copy = shutil.copytree(run, tmp_path / "tiny", symlinks=True)
    file = copy / "cells" / "plain" / "seeds" / "1" / "findings.json"
    file.write_text(content)
    assert main(["validate", str(copy)]) == 2
    shown = capsys.readouterr().err
    assert str(file) in shown and shown.count("\n") == 1


def test_a_damaged_number_is_named(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "tiny", symlinks=True)
    file = copy / "cells" / "plain" / "seeds" / "1" / "findings.json"
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([{**rows[0], "estimate": "much"}, *rows[1:]]))
    assert main(["validate", str(copy)]) == 2
    assert f"{file}: not a table of findings" in capsys.readouterr().err


def test_what_was_not_measured_is_not_called_infinite(run, tmp_path, capsys):
    row = {**verdicts(run)[0], "estimate": None, "low": None, "high": None, "n": 0}
    row |= {"verdict": "INCONCLUSIVE", "prediction_verdict": "INCONCLUSIVE"}
    (tmp_path / "complete.json").write_text("{}")
    (tmp_path / "verdicts.json").write_text(json.dumps([row]))
    assert main(["validate", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "no number" in shown and "infinite" not in shown


def test_exact_bayes_is_not_refuted(capsys):
    assert main(["validate", "--exact", "bow", "--set", "length=6", "--documents", "128"]) == 0
    shown = capsys.readouterr().out
    assert "P1 Bayes gap" in shown and "SUPPORTED" in shown and "REFUTED" not in shown


def test_what_is_exact_for_noisy_pairs_depends_on_the_pairs(capsys):
    known = ["--set", "length=8", "--documents", "256", "--world", "bow"]
    assert main(["validate", "--wrong", "static-mixture", *known, "--pairs-wrong", "0.3"]) == 1
    assert "power of the evidence" in capsys.readouterr().out.split("SUPPORTED")[0]
    assert main(["validate", "--wrong", "adaptive-noise", *known, "--pairs-wrong", "0.3"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected one of RUN, --exact WORLD"),
        (["runs/none", "--exact", "bow"], "expected one of RUN, --exact WORLD"),
        (["--wrong", "MAP"], "--wrong takes a world"),
        (["--exact", "bow", "--world", "bow"], "only --wrong does"),
        (["--wrong", "flat", "--world", "bow"], "--wrong flat: expected one of prior"),
        (["--exact", "cow"], "unknown world 'cow'"),
        (["--exact", "narration"], "the predictions take worlds of tokens"),
        (["--exact", "bow", "--set", "length"], "--set length: expected DIAL=NUMBER"),
        (["--exact", "bow", "--documents", "3"], "--documents 3: expected 64 or more"),
        (["--exact", "bow", "--pairs-same-style", "1"], "its documents have no style"),
        (["--exact", "bow", "--pairs-wrong", "2"], "wrong=2.0; expected a probability"),
        (["runs/none"], "runs/none: not a finished run"),
        (["runs/none", "--documents", "64"], "--documents: a run is judged as it was made"),
        (["runs/none", "--set", "length=8"], "--set: a run is judged as it was made"),
        (["runs/none", "--pairs-wrong", "0.3"], "--pairs-wrong: a run is judged as it was made"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    assert main(["validate", *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["validate", "--help"])
    shown = capsys.readouterr().out
    assert "SUPPORTED" in shown and "sbp validate --wrong MAP --world hmm" in " ".join(shown.split())
