"""A run that is killed and started again ends with the bits of an undisturbed one."""

import errno
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from sbp_bayes.documents.packing import DocumentSequences, Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import seed_for
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.metrics import MetricsLogger
from sbp_bayes.training.parallel import Parallel
from sbp_bayes.training.state import load_state
from sbp_bayes.training.trainer import train

OUTCOME = ("metrics.jsonl", "trained.json", "final.safetensors", "best.safetensors")
CONTEXT = 12


class Killed(Exception):
    """Stands for the end of the process: nothing of the run catches it."""


@pytest.fixture
def run(make_model, make_corpus, random_documents, tokenizer):
    """``run(folder)`` trains in ``folder``, always the same way; ``stop_at`` ends it right after that checkpoint."""
    parts = [Packed(DocumentSequences(make_corpus(random_documents(n, 2, 9)), tokenizer), CONTEXT, 0) for n in (20, 9)]
    mixture = Mixture([(parts[0], 0.7), (parts[1], 0.3)], 0)
    validation = Packed(DocumentSequences(make_corpus(random_documents(10, 2, 8)), tokenizer), CONTEXT, 0)

    def train_in(folder: Path, stop_at: int | None = None, **changes):
        settings = dict(steps=20, context=CONTEXT, batch_tokens=36, learning_rate=1e-2, evaluate_every=3, patience=4)
        config = TrainingConfig(**{**settings, **dict(checkpoint_every=1), **changes})
        if stop_at is None:
            return train(make_model(), mixture, config, folder, validation)
        with pytest.MonkeyPatch.context() as patch:
            stop_after_checkpoint(patch, stop_at)
            with pytest.raises(Killed):
                train(make_model(), mixture, config, folder, validation)

    return train_in


def stop_after_checkpoint(patch: pytest.MonkeyPatch, step: int) -> None:
    from sbp_bayes.training import state

    save = state.save_state

    def save_and_stop(folder, at, content, keep):
        save(folder, at, content, keep)
        if at == step:
            raise Killed

    patch.setattr(state, "save_state", save_and_stop)


def outcome(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTCOME}


@pytest.fixture
def undisturbed(run, tmp_path) -> dict[str, bytes]:
    run(tmp_path / "undisturbed")
    return outcome(tmp_path / "undisturbed")


def test_stopping_at_every_checkpoint_changes_nothing(run, undisturbed, tmp_path):
    steps = json.loads(undisturbed["trained.json"])["steps"]
    for step in range(1, steps + 1):
        folder = tmp_path / f"at{step}"
        run(folder, stop_at=step)
        run(folder)
        assert outcome(folder) == undisturbed, step


def test_stopping_again_and_again_changes_nothing(run, undisturbed, tmp_path):
    folder = tmp_path / "often"
    for step in (2, 3, 7, 8, 11):
        run(folder, stop_at=step)
    run(folder)
    assert outcome(folder) == undisturbed


def test_work_after_the_last_checkpoint_is_done_again_without_a_trace(run, undisturbed, tmp_path):
    folder = tmp_path / "stale"
    run(folder, stop_at=5, checkpoint_every=5)
    # The process lived on past its checkpoint, and had begun to write a line when it died.
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "tokens": 1, "train_loss": 99}\n{"step": 9, "tok')
    (folder / ".metrics.jsonl.abc").write_text("half")
    run(folder)
    assert outcome(folder) == undisturbed


def test_the_damaged_newest_checkpoint_is_passed_over_for_the_previous(run, undisturbed, tmp_path, capsys):
    damages = {"cut": lambda b: b[: len(b) // 2], "bit": lambda b: b[:3000] + bytes([b[3000] ^ 1]) + b[3001:]}
    for name, damage in damages.items():
        folder = tmp_path / name
        run(folder, stop_at=8)
        paths = sorted((folder / "state").iterdir())
        assert [p.name for p in paths] == ["step-000000007.pt", "step-000000008.pt"]
        paths[-1].write_bytes(damage(paths[-1].read_bytes()))
        capsys.readouterr()
        run(folder)
        line = f"{folder / 'state'}: step-000000008.pt damaged; going on from step-000000007.pt\n"
        assert line in capsys.readouterr().err
        assert outcome(folder) == undisturbed, name


def test_as_many_checkpoints_stay_as_are_asked_for(run, tmp_path):
    run(tmp_path, stop_at=8, checkpoints_kept=3)
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == [f"step-00000000{step}.pt" for step in (6, 7, 8)]


def test_only_damaged_checkpoints_is_an_error_that_says_what_to_do(run, tmp_path):
    run(tmp_path, stop_at=8)
    for path in (tmp_path / "state").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"state: every checkpoint is damaged; delete"):
        run(tmp_path)


def test_a_checkpoint_that_holds_something_else_counts_as_damaged(run, undisturbed, tmp_path):
    run(tmp_path, stop_at=8)
    content = io.BytesIO()
    torch.save([1, 2], content)
    newest = tmp_path / "state" / "step-000000008.pt"
    newest.write_bytes(content.getvalue() + hashlib.sha256(content.getvalue()).digest())
    run(tmp_path)
    assert outcome(tmp_path) == undisturbed


def test_a_checkpoint_that_cannot_be_read_is_one_line(run, tmp_path, monkeypatch):
    run(tmp_path, stop_at=8)

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"step-000000008\.pt: can't be read \(Permission denied\)"):
        run(tmp_path)


def test_what_a_kill_left_of_a_save_is_removed_by_the_next(run, tmp_path):
    run(tmp_path, stop_at=3)
    (tmp_path / "state" / ".step-000000004.pt.abc").write_bytes(b"half")
    run(tmp_path, stop_at=5)
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == ["step-000000004.pt", "step-000000005.pt"]


def test_the_first_rate_after_resuming_counts_what_was_trained_since(run, tmp_path, monkeypatch):
    noted = []
    log = MetricsLogger.log
    monkeypatch.setattr(
        MetricsLogger,
        "log",
        lambda self, line, tokens, seconds: noted.append((line, tokens)) or log(self, line, tokens, seconds),
    )
    settings = dict(evaluate_every=10, checkpoint_every=8, patience=0)
    run(tmp_path, stop_at=8, **settings)
    state = torch.load(tmp_path / "state" / "step-000000008.pt", weights_only=True)
    noted.clear()
    run(tmp_path, **settings)
    first, tokens = noted[0]
    assert first["step"] == 10 and tokens == first["tokens"] - state["numbers"]["tokens"] > 0


def test_a_checkpoint_of_another_configuration_is_refused(run, tmp_path):
    run(tmp_path, stop_at=8)
    with pytest.raises(UserError, match=r"step-000000008\.pt: belongs to a run with another configuration"):
        run(tmp_path, learning_rate=2e-2)


def test_the_first_step_after_resuming_has_its_own_learning_rate(run, tmp_path):
    run(tmp_path / "whole", evaluate_every=1, patience=0)
    run(tmp_path / "cut", stop_at=9, evaluate_every=1, patience=0)
    run(tmp_path / "cut", evaluate_every=1, patience=0)
    rates = [
        [json.loads(line).get("learning_rate") for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "cut")
    ]
    assert rates[0] == rates[1] and len(set(rates[0][8:12])) == 4


def test_how_often_it_is_saved_is_no_part_of_a_run(run, undisturbed, tmp_path):
    run(tmp_path / "seldom", checkpoint_every=0, checkpoint_seconds=1000.0)
    assert outcome(tmp_path / "seldom") == undisturbed
    run(tmp_path / "changed", stop_at=4, checkpoint_every=2)
    run(tmp_path / "changed", checkpoint_every=7)
    assert outcome(tmp_path / "changed") == undisturbed


def test_a_checkpoint_holds_data_only(run, tmp_path):
    run(tmp_path, stop_at=3)
    path = tmp_path / "state" / "step-000000003.pt"
    identity = torch.load(path, weights_only=True)["identity"]
    assert load_state(tmp_path / "state", identity, Parallel("cpu"))["numbers"]["step"] == 3
    assert load_state(tmp_path / "nowhere", identity, Parallel("cpu")) is None


SCRIPT = """
    import sys
    from pathlib import Path
    import numpy as np
    import torch
    from sbp_bayes.documents.packing import Mixture, Packed
    from sbp_bayes.model.transformer import ModelConfig, Transformer
    from sbp_bayes.seeds import generator, numpy_generator
    from sbp_bayes.training.configuration import TrainingConfig
    from sbp_bayes.training.trainer import train

    torch.set_num_threads(1)

    class Sequences:
        def __init__(self, n):
            self.tokens = numpy_generator("killed", n).integers(0, 11, (n, 9))
            self.lengths = np.full(n, 8)
            self.fingerprint = f"{n} sequences"
        def __len__(self):
            return len(self.tokens)
        def sequence(self, i):
            return self.tokens[i], np.ones(8, np.float32)
        def name(self, i):
            return str(i)

    config = ModelConfig(11, width=16, layers=1, heads=2, kv_heads=1, head_dim=8, hidden=24)
    model = Transformer(config).init(generator("killed"))
    mixture, validation = Mixture([(Packed(Sequences(60), 8, 0), 1.0)], 0), Packed(Sequences(10), 8, 0)
    settings = TrainingConfig(
        steps=200, context=8, batch_tokens=64, learning_rate=3e-3, evaluate_every=10, checkpoint_every=3
    )
    print("start", flush=True)
    train(model, mixture, settings, Path(sys.argv[1]), validation)
"""


def test_kill_9_at_random_moments_changes_nothing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))

    def start(folder: Path) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, script, folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout.readline() == b"start\n"
        return process

    whole = start(tmp_path / "whole")
    assert whole.wait() == 0
    whole.stdout.close()
    expected = outcome(tmp_path / "whole")

    rng = random.Random(seed_for("kill"))
    folder, lines = tmp_path / "killed", 1
    metrics = folder / "metrics.jsonl"
    for _ in range(3):
        process = start(folder)
        lines += rng.randint(1, 4)
        while process.poll() is None and not (metrics.exists() and metrics.read_bytes().count(b"\n") >= lines):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        assert process.poll() is None, "the run ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    last = start(folder)
    assert last.wait() == 0
    last.stdout.close()
    assert outcome(folder) == expected
