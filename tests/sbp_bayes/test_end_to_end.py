"""A whole tiny experiment through the command line: reproducible, resumable, blind to latents."""

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

TINY = """
seeds = [0]

[corpus]
real = 48
validation = 32
heldout = 32
oracle = 96

[corpus.world]
name = "bow"
preset = "medium"

[training]
epochs = 4
evaluations = 4
compile = "off"

[pairing]
pairs_per_document = 4

[synthesizer]
evaluations = 2

[evaluation]
documents = 32
examples = 2
"""


def sbp(folder: Path, *arguments: str, wait: bool = True) -> subprocess.Popen | subprocess.CompletedProcess:
    """Run the command line in ``folder``, as its own session so that all its processes can be killed."""
    command = [sys.executable, "-m", "sbp_bayes.cli", *arguments]
    if not wait:
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    """A folder with a tiny experiment, run undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.toml").write_text(TINY)
    done = sbp(folder, "run", "tiny.toml")
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    return folder


def outputs(folder: Path) -> dict[str, str]:
    """The results, metrics and model weights of the run in ``folder``, whatever the times were."""
    run = folder / "runs" / "tiny"
    files = [run / "results.json", run / "examples.json", *sorted(run.glob("metrics/*/*.jsonl"))]
    named = {str(f.relative_to(run)): f.read_text() for f in files}
    for stage in sorted((folder / "runs" / "stages").glob("*/final.safetensors")):
        named[str(stage.relative_to(folder))] = stage.read_bytes().hex()
    return named


def test_a_run_leaves_results_report_and_provenance(experiment):
    run = experiment / "runs" / "tiny"
    rows = json.loads((run / "results.json").read_text())
    assert {"measure", "subject", "world", "seed", "estimate", "se", "n", "null", "unit"} <= set(rows[0])
    subjects = {row["subject"] for row in rows}
    assert {"repetition", "sbp", "random-pairs", "exact", "oracle"} <= subjects
    provenance = json.loads((run / "provenance.json").read_text())
    assert sum(entry["tokens"] for entry in provenance["ledger"]) > 0
    compute = provenance["compute"]["0"]
    assert compute["repetition"]["end to end"] == compute["repetition"]["training"] > 0
    assert compute["sbp"]["end to end"] > compute["exact"]["end to end"] == compute["exact"]["training"]
    for measure in ("stages", "tokens", "flops"):
        spent = sum(row["took"][measure] for row in provenance["estimate"])
        assert spent <= 2 * sum(row["expected"][measure] for row in provenance["estimate"]) <= 4 * spent
    report = (run / "report.html").read_text()
    assert "<svg" in report and "Expected and spent" in report
    # It loads nothing; the configuration may name a server.
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:|url\(["']?https?:|@import""", report)


def test_a_finished_run_answers_at_once(experiment):
    before = {path: path.stat().st_mtime_ns for path in (experiment / "runs").rglob("*")}
    done = sbp(experiment, "run", "tiny.toml")
    assert done.returncode == 0
    assert "report.html" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (experiment / "runs").rglob("*")}


def test_killed_at_random_points_a_run_ends_like_an_undisturbed_one(experiment, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    chance = random.Random(0)
    stages = tmp_path / "runs" / "stages"
    kills = 0
    for finished in sorted(chance.sample(range(15), 5)):
        process = sbp(tmp_path, "run", "tiny.toml", wait=False)
        while process.poll() is None and len(list(stages.glob("*/stage.json"))) < finished:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        kills += process.poll() is None
        process.kill()
        process.wait()
    assert kills >= 3
    done = sbp(tmp_path, "run", "tiny.toml")
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == outputs(experiment)


def test_other_settings_under_one_name_are_told(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY.replace("epochs = 4", "epochs = 1"))
    base = ["run", "tiny.toml", "--set", 'arms.names=["repetition"]']
    assert sbp(tmp_path, *base).returncode == 0
    again = sbp(tmp_path, *base, "--set", "evaluation.documents=16")
    assert again.returncode == 0
    assert "other settings (evaluation.documents); they are replaced" in again.stderr


def test_hidden_latents_change_nothing_that_does_not_need_them(tmp_path):
    blind = TINY.replace(
        "[pairing]", '[arms]\nnames = ["sbp", "random-pairs"]\n\n[pairing]\nrule = "similarity"\nalpha = 0.0'
    )
    found = {}
    for hidden in ("false", "true"):
        folder = tmp_path / hidden
        folder.mkdir()
        (folder / "tiny.toml").write_text(blind)
        done = sbp(folder, "run", "tiny.toml", "--set", f"corpus.hide_latents={hidden}")
        assert done.returncode == 0, done.stderr
        stages = folder / "runs" / "stages"
        assert any(stages.glob("corpus-*/real/latents/*")) == (hidden == "false")
        weights = {s.read_bytes() for s in stages.glob("*/final.safetensors")}
        synthetic = {s.read_bytes() for s in stages.glob("synthesis-*/corpus/tokens.bin")}
        found[hidden] = (weights, synthetic)
    assert len(found["true"][0]) == 5
    assert found["true"] == found["false"]


def test_truth_pairing_needs_latents(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    failed = sbp(tmp_path, "run", "tiny.toml", "--set", "corpus.hide_latents=true", "--set", "pairing.rule=truth")
    assert failed.returncode == 2
    assert "latents" in failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("corpus.world.overlp=0.8", "overlp"),
        ("corpus.world.overlap=1.8", "overlap"),
        ("corpus.world.name=nowhere", "nowhere"),
        ("corpus.path=absent", "absent"),
        ("training.context=5", "context"),
        ("model.size=2M", "2M"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, override, expected):
    (tmp_path / "tiny.toml").write_text(TINY)
    failed = sbp(tmp_path, "run", "tiny.toml", "--set", override, "--workers", "1")
    assert failed.returncode == 2, failed.stderr
    assert "Traceback" not in failed.stderr
    assert expected in failed.stderr.splitlines()[-1]


def test_two_runs_at_once_share_their_stages(experiment, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    both = [sbp(tmp_path, "run", "tiny.toml", "--workers", "1", wait=False) for _ in range(2)]
    time.sleep(0.1)
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert outputs(tmp_path) == outputs(experiment)
