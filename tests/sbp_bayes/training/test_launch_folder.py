"""A launch's folder: going on, refusing what differs, branching, stopping, long documents, sizes of given weights."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sbp_bayes.documents.packing import Packed
from sbp_bayes.model.sizes import SIZES
from sbp_bayes.pairing.pairs import Pairs, save_pairs
from sbp_bayes.training import launch
from sbp_bayes.training.checkpoint import load_model, save_model
from sbp_bayes.training.trainer import Run


@pytest.fixture
def corpus(make_corpus, random_documents, tokenizer) -> Path:
    """The folder of a corpus, with its tokenizer beside it."""
    folder = make_corpus(random_documents(60, 3, 9)).folder
    tokenizer.save(folder.parent / "tokenizer")
    return folder


@pytest.fixture
def run(corpus, tmp_path):
    """Launch with small defaults, in the folder ``out``; the exit code. None leaves an option out."""

    def run(out: str, **changes) -> int:
        values = {"corpus": corpus, "validation": corpus, "out": tmp_path / out, "context": 16, "steps": 6}
        values |= {"size": "0.03M", "batch_tokens": 64, **changes}
        options = {f"--{name.replace('_', '-')}": value for name, value in values.items() if value is not None}
        return launch.main([str(part) for pair in options.items() for part in pair if part != ""])

    return run


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def end_at(step: int, monkeypatch) -> None:
    """SIGTERM comes to this process in the middle of ``step``."""
    whole = Run._backward

    def backward(self: Run, *arguments):
        if self.run.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, *arguments)

    monkeypatch.setattr(Run, "_backward", backward)


def test_sigterm_saves_the_state_that_the_same_command_goes_on_from(run, tmp_path, monkeypatch, capsys):
    assert run("whole") == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        end_at(3, patch)
        assert run("stopped") == 143
    assert capsys.readouterr().err.endswith("stopped by a signal; step 5 is saved, the same command goes on from it\n")
    assert [path.name for path in (tmp_path / "stopped" / "state").glob("step-*")] == ["step-000000005.pt"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert run("stopped") == 0
    assert lines(tmp_path / "stopped") == lines(tmp_path / "whole")


def test_what_decides_nothing_may_change_and_all_else_is_refused_by_name(run, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        end_at(2, patch)
        assert run("out", batch_tokens=None) == 143
    capsys.readouterr()
    assert run("out", learning_rate=0.1, seed=1, nonfinite="skip") == 2
    said = capsys.readouterr().err
    assert "--learning-rate 0.004, now 0.1, --seed 0, now 1); give another --out" in said and said.count("\n") == 1
    assert run("out", batch_tokens=None, nonfinite="skip", compile="off", accumulation=4) == 0
    assert run("out", batch_tokens=None) == 0
    assert run("out", steps=7) == 2
    assert "--steps 6, now 7" in capsys.readouterr().err


def test_a_finished_run_answers_without_packing(run, monkeypatch, capsys):
    assert run("out") == 0
    first = capsys.readouterr().out
    monkeypatch.setattr("sbp_bayes.training.launch_data.Packed", None)
    assert run("out") == 0
    assert capsys.readouterr().out == first != ""


def test_a_longer_run_that_branches_is_the_longer_run(run, tmp_path, capsys):
    wsd = {"schedule": "wsd", "warmup": 0.0, "evaluate_every": 2}
    assert run("short", decay=0.5, steps=8, keep_stable="", **wsd) == 0
    assert run("long", decay=0.25, steps=12, **wsd) == 0
    assert run("branch", decay=0.25, steps=12, branch=tmp_path / "short", **wsd) == 0
    assert lines(tmp_path / "branch") == lines(tmp_path / "long")
    weights = [(tmp_path / name / "final.safetensors").read_bytes() for name in ("branch", "long", "short")]
    assert weights[0] == weights[1] != weights[2]
    capsys.readouterr()
    assert run("falls", decay=0.25, steps=4, branch=tmp_path / "short", **wsd) == 2
    assert "its step 4 is not in the stable phase of 4 steps" in capsys.readouterr().err
    assert run("other", decay=0.25, steps=12, branch=tmp_path / "short", **{**wsd, "learning_rate": 0.1}) == 2
    assert "belongs to a run with another configuration" in capsys.readouterr().err
    assert run("none", decay=0.25, steps=12, branch=tmp_path / "long", **wsd) == 2
    assert "--keep-stable leaves one" in capsys.readouterr().err


def test_lines_without_an_evaluation_come_as_often_as_asked(run, tmp_path):
    assert run("out", evaluate_every=4, log_every=2) == 0
    found = [(line["step"], "train_loss" in line, "validation_loss" in line) for line in lines(tmp_path / "out")]
    assert found == [(0, False, True), (2, True, False), (4, True, True), (6, True, True)]


def test_long_documents_are_refused_with_their_share_left_out_or_cut(run, tmp_path, capsys):
    assert run("out", context=8) == 2
    said = capsys.readouterr().err
    assert "longer than the context: raise --context, or --long drop or split" in said and "%)" in said
    assert run("out", context=8, long="drop") == 0
    said = capsys.readouterr().err
    assert said.count("are left out\n") == 2 and "held-out documents: " in said
    assert run("parts", context=8, long="split") == 0
    assert run("parts", context=8, long="drop") == 2
    assert "--long split, now drop" in capsys.readouterr().err


def test_held_out_pairs_are_as_many_as_asked_for_and_no_pair_is_split(run, tmp_path, capsys):
    d1 = np.repeat(np.arange(60), 6)
    columns = {"d1": d1, "d2": (d1 + np.tile(np.arange(1, 7), 60)) % 60, "kept": np.ones(d1.size, dtype=bool)}
    save_pairs(tmp_path / "pairs", Pairs(pa.table(columns), {}))
    held_out = []

    def count(sequences, *arguments):
        held_out.append(len(sequences))
        return Packed(sequences, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sbp_bayes.training.launch_data.Packed", count)
        tune = {"pairs": tmp_path / "pairs", "validation": None, "context": 24, "steps": 1}
        assert run("all", **tune) == run("three", heldout_pairs=3, **tune) == 0
    assert held_out[0] == held_out[2] > held_out[1] > held_out[3] == 3
    capsys.readouterr()
    assert run("split", long="split", **tune) == 2
    assert "a part of a pair would lack its d1" in capsys.readouterr().err


def test_learning_rate_and_batch_follow_from_the_weights(run, make_model, tokenizer, tmp_path, capsys):
    assert run("base", steps=1) == 0
    start = tmp_path / "base" / "final.safetensors"
    assert run("tuned", size=None, start=start, batch_tokens=None, schedule="constant", warmup=0) == 0
    assert lines(tmp_path / "tuned")[1]["learning_rate"] == SIZES["0.03M"].learning_rate
    assert load_model(tmp_path / "tuned" / "final.safetensors").config == load_model(start).config
    capsys.readouterr()
    assert run("other", size="0.1M", start=start) == 2
    assert "--size 0.1M: the weights of --start have size 0.03M" in capsys.readouterr().err
    save_model(make_model(), tmp_path / "odd.safetensors", tokenizer.fingerprint)
    odd = {"size": None, "start": tmp_path / "odd.safetensors"}
    assert run("odd", **odd) == 2
    assert "so --learning-rate and --batch-tokens must be given" in capsys.readouterr().err
    assert run("odd", learning_rate=1e-3, **odd) == 0


def test_a_batch_that_cannot_be_shared_out_names_one_that_can(run, capsys):
    assert run("out", batch_tokens=5 * 16, accumulation=2) == 2
    assert "batch_tokens = 64 has rows that they divide" in capsys.readouterr().err
    assert run("out", batch_tokens=15) == 2
    assert "--batch-tokens 15: less than one row of --context 16" in capsys.readouterr().err


def test_help_lists_every_size(capsys):
    with pytest.raises(SystemExit):
        launch.main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in SIZES)
