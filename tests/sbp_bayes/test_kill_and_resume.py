"""Twenty kills at random moments over every kind of stage of a text experiment: the results are those of a run that
nobody disturbed, byte for byte."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sbp_bayes.seeds import seed_for

WORDNET = Path(__file__).parents[1] / "data" / "wordnet"
EXPERIMENT = f"""
name = "killed"
seeds = [0]

[corpus]
real = 90
validation = 30
heldout = 30
oracle = 240

[corpus.text]
path = "{WORDNET / "entries.jsonl"}"
concept_column = "headword"

[tokenizer]
vocabulary = 400

[training]
epochs = 6
evaluations = 6
batch_tokens = 768
context = 256
compile = "off"

[pairing]
rule = "similarity"
embedder = "base-model"
alpha = -1.0
top_k = 3

[synthesizer]
evaluations = 4
context = 512

[synthesis]
max_tokens = 60

[arms]
names = ["repetition", "sbp", "random-pairs", "oracle"]

[evaluation]
documents = 32
examples = 2
"""
# How often a process is killed while a stage of that kind is under way (the corpus stage trains the tokenizer).
KILLS = {"corpus": 3, "base": 3, "pairs": 3, "synthesizer": 3, "synthesis": 3, "arm": 3, "evaluation": 2}
LONGEST_WAIT = 1.5  # seconds from a stage's beginning to the kill, at most


def start(folder: Path) -> subprocess.Popen:
    """The experiment's command, in a session of its own."""
    command = [sys.executable, "-m", "sbp_bayes.cli", "run", "killed.toml", "--workers", "2"]
    with (folder / "log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def prepared(folder: Path) -> Path:
    folder.mkdir()
    (folder / "killed.toml").write_text(EXPERIMENT)
    return folder


def results(folder: Path) -> dict[str, bytes]:
    """Everything in the run folder and its stages that has no times in it."""
    runs = folder / "runs"
    timed = {"timing.json", "speed.jsonl", "provenance.json", "estimate.json", "report.html", "stage.json", ".lock"}
    files = [f for f in runs.rglob("*") if f.is_file() and f.name not in timed and ".locks" not in f.parts]
    return {str(f.relative_to(runs)): f.read_bytes() for f in files if f.suffix not in (".svg", ".png", ".lock")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_over_all_stages_change_nothing(tmp_path):
    whole, killed = prepared(tmp_path / "whole"), prepared(tmp_path / "killed")
    assert start(whole).wait() == 0, (whole / "log").read_text()

    chance = random.Random(seed_for("kill any stage"))
    stages = killed / "runs" / "stages"
    hits = dict.fromkeys(KILLS, 0)
    for kind in (kind for kind, times in KILLS.items() for _ in range(times)):
        process = start(killed)
        while process.poll() is None and not list(stages.glob(f"{kind}-*.partial")):
            time.sleep(0.001)
        time.sleep(LONGEST_WAIT * chance.random() ** 2)  # many at the very beginning, when files are half written
        hits[kind] += process.poll() is None
        # All processes at once, as when a machine goes down; or the parent alone, and its workers find out.
        os.killpg(process.pid, signal.SIGKILL) if chance.random() < 0.5 else process.kill()
        process.wait()
    assert sum(hits.values()) >= 18 and min(hits.values()) >= 1, hits
    assert start(killed).wait() == 0, (killed / "log").read_text()

    expected, found = results(whole), results(killed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert json.loads((killed / "runs" / "killed" / "provenance.json").read_text())["estimate"]
