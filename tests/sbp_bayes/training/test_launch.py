"""Training from the command line, alone and by torchrun."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sbp_bayes.pairing.pairs import Pairs, save_pairs
from sbp_bayes.training import launch
from sbp_bayes.training.checkpoint import load_model


@pytest.fixture
def corpus(make_corpus, random_documents, tokenizer, tmp_path) -> Path:
    """The folder of a corpus, with its tokenizer beside it."""
    folder = make_corpus(random_documents(60, 3, 9)).folder
    tokenizer.save(folder.parent / "tokenizer")
    return folder


def arguments(documents: Path, out: Path, **changes) -> list[str]:
    values = {"corpus": documents, "validation": documents, "out": out, "context": 16, "steps": 6, "batch_tokens": 64}
    options = {f"--{name.replace('_', '-')}": str(value) for name, value in {**values, **changes}.items()}
    return [text for option in options.items() for text in option]


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_torchrun_trains_what_one_process_trains(corpus, tmp_path, capsys):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "sbp_bayes.training.launch", *arguments(corpus, tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("6 steps, loss") == 1
    assert launch.main(arguments(corpus, tmp_path / "one")) == 0
    assert "6 steps, loss" in capsys.readouterr().out
    two, one = lines(tmp_path / "two"), lines(tmp_path / "one")
    assert [line["step"] for line in two] == list(range(7))
    for line, other in zip(two, one, strict=True):
        assert line == {name: pytest.approx(value, rel=1e-5) for name, value in other.items()}
    assert one[1]["learning_rate"] == 3e-3 and load_model(tmp_path / "one" / "final.safetensors").config.width == 64


def test_a_start_keeps_its_shape_and_its_tokenizer(corpus, tmp_path, capsys):
    assert launch.main(arguments(corpus, tmp_path / "base", steps=2)) == 0
    start = tmp_path / "base" / "final.safetensors"
    assert launch.main(arguments(corpus, tmp_path / "tuned", start=start, steps=2)) == 0
    assert load_model(tmp_path / "tuned" / "final.safetensors").config == load_model(start).config
    assert lines(tmp_path / "tuned")[0]["validation_loss"] == lines(tmp_path / "base")[-1]["validation_loss"]


def test_another_start_or_other_pairs_in_the_same_folder_are_refused(corpus, tmp_path, capsys):
    for seed in (0, 1):
        assert launch.main(arguments(corpus, tmp_path / f"base{seed}", steps=1, seed=seed)) == 0
    starts = [tmp_path / f"base{seed}" / "final.safetensors" for seed in (0, 1)]
    d1, steps = np.repeat(np.arange(60), 12), np.tile(np.arange(12), 60)
    for name, first in (("pairs0", 1), ("pairs1", 13)):
        columns = {"d1": d1, "d2": (d1 + steps + first) % 60, "kept": np.ones(d1.size, dtype=bool)}
        save_pairs(tmp_path / name, Pairs(pa.table(columns), {}))

    def tune(start: int, pairs: int) -> int:
        command = arguments(corpus, tmp_path / "tuned", context=24, steps=1)
        at = command.index("--validation")
        command[at : at + 2] = ["--start", str(starts[start]), "--pairs", str(tmp_path / f"pairs{pairs}")]
        return launch.main(command)

    assert tune(0, 0) == tune(0, 0) == 0
    for start, pairs in ((1, 0), (0, 1)):
        capsys.readouterr()
        assert tune(start, pairs) == 2
        assert "tuned: belongs to a run with another configuration or data (--" in capsys.readouterr().err


def test_the_tokenizer_lies_beside_the_corpus_however_its_folder_is_called(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(corpus)
    assert launch.main(arguments(Path("."), tmp_path / "out", steps=1)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "2M"}, "model size '2M': expected one of"),
        ({"context": 4}, "tokens do not fit the context of 4"),
        ({"learning_rate": -1}, "training.learning_rate: expected a positive number"),
        ({"tokens": 100}, "training: expected exactly one of tokens and steps"),
        ({"corpus": "elsewhere/nowhere"}, "elsewhere/tokenizer"),
        ({"pairs": "nowhere"}, "--validation: pairs are held out of --pairs themselves"),
        ({"replicas": 2}, "--replicas 2: takes several processes, started by torchrun"),
        ({"clip": "inf"}, "training.clip: expected a finite number, got inf"),
        ({"device": "cuda"}, "device cuda: PyTorch finds no CUDA device"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(corpus, tmp_path, capsys, monkeypatch, changes, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert launch.main(arguments(corpus, tmp_path / "out", **changes)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
