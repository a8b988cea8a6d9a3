"""The commands of the README and of the training page, as they are printed but for the number of steps."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sbp_bayes.cli import main
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.model.hugging_face import import_model
from sbp_bayes.seeds import numpy_generator
from sbp_bayes.training.checkpoint import load_model

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def launches(page: str) -> list[str]:
    """The page's command lines that launch a training, each on one line."""
    blocks = [block.replace("\\\n", " ") for block in re.findall(r"```\w*\n(.*?)```", page, re.DOTALL)]
    return [line for block in blocks for line in block.splitlines() if " -m sbp_bayes.training.launch" in line]


def run(command: str, folder: Path, **options: int) -> str:
    """Run ``command`` in ``folder`` with some options changed; what it printed."""
    for option, value in options.items():
        command, changed = re.subn(
            rf"--{option.replace('_', '-')} \d+", f"--{option.replace('_', '-')} {value}", command
        )
        assert changed == 1
    program, *arguments = shlex.split(command)
    begin = {"torchrun": [sys.executable, "-m", "torch.distributed.run"], "python": [sys.executable]}[program]
    done = subprocess.run(
        [*begin, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which the page's Python snippets have been run."""
    folder = tmp_path_factory.mktemp("training page")
    random = numpy_generator("training page")
    words = ["".join(random.choice(list("abcdefghijklmnop"), 5)) for _ in range(900)]
    documents = []
    for i in range(240):
        topic = words[30 * (i % 30) : 30 * (i % 30) + 30]
        text = " ".join(random.choice(topic, 12).tolist() + random.choice(words, 4).tolist())
        documents.append(json.dumps({"doc_id": f"d{i}", "text": text}))
    (folder / "documents.jsonl").write_text("\n".join(documents))
    here = Path.cwd()
    try:
        os.chdir(folder)
        found: dict = {}
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
            exec(block, found)
    finally:
        os.chdir(here)
    return folder


def test_the_two_process_commands_run_and_end_well(folder):
    of_readme, of_page = launches(README)[0], launches(PAGE)[0]
    assert "--nproc-per-node 2" in of_readme and "--nproc-per-node 2" in of_page
    assert "3 steps, loss" in run(of_readme.replace("CORPUS", "data/real"), folder, steps=3)
    assert "3 steps, loss" in run(of_page, folder, steps=3)


@pytest.mark.parametrize("out", ["a", "b"])
def test_a_launch_of_four_processes_ends_well_again_and_again(folder, out):
    """Once, most such launches trained and then aborted in Python's own end."""
    command = launches(PAGE)[0].replace("trained/small", out)
    assert "2 steps, loss" in run(command, folder, nproc_per_node=4, steps=2)


def test_the_synthesizer_of_the_page_has_the_size_of_its_start_and_is_exported(folder, monkeypatch):
    monkeypatch.chdir(folder)
    if not Path("trained/small").exists():
        run(launches(PAGE)[0], folder, steps=3)
    assert "2 steps, loss" in run(launches(PAGE)[1], folder, steps=2)
    start, tuned = (load_model(Path("trained") / name / "final.safetensors") for name in ("small", "synthesizer"))
    assert start.config == tuned.config
    (line,) = re.findall(r"`(sbp export trained/synthesizer[^`]*)`", PAGE)
    assert main(shlex.split(line)[1:]) == 0
    _, rules = import_model(Path("exported/synthesizer"))
    Corpus.open(Path("data/real"), rules)
