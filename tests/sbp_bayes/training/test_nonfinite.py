"""A batch whose loss or gradient is not finite: named, skipped or the end of the run."""

import json
import math
from pathlib import Path

import processes
import pytest
import torch
import training_runs

from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training import trainer
from sbp_bayes.training.checkpoint import load_model

BROKEN = (40,)  # the document whose weight is not a number


def steps_with(document: int) -> list[int]:
    """The steps whose batches hold a document of the first source."""
    mixture = training_runs.mixture()
    config = training_runs.config()
    found = []
    for step in range(config.total_steps):
        for source, row in zip(*mixture.rows_at(step, config.batch_rows), strict=True):
            if source == 0 and document in mixture.sources[0].members(row):
                found.append(step)
    return found


def weights(path: Path) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in load_model(path).parameters()])


def test_it_stops_and_names_the_step_and_the_document(tmp_path):
    steps = steps_with(BROKEN[0])
    assert len(steps) >= 2 and steps[0] > 0
    message = rf"train: .*no longer finite at step {steps[0]} \(loss nan, gradient norm nan; document 40\); try"
    with pytest.raises(UserError, match=message):
        training_runs.lines_of(tmp_path, {}, BROKEN)


def test_it_is_skipped_counted_and_told(tmp_path, capsys):
    lines = training_runs.lines_of(tmp_path, {"nonfinite": "skip"}, BROKEN)
    steps = steps_with(BROKEN[0])
    told = [line for line in capsys.readouterr().err.splitlines() if "skipped the batch" in line]
    assert [f"at step {step} (loss nan" in line for step, line in zip(steps, told, strict=True)] == [True] * len(steps)
    assert json.loads((tmp_path / "trained.json").read_text())["skipped"] == len(steps)
    assert [line.get("skipped", 0) for line in lines] == [sum(s < line["step"] for s in steps) for line in lines]
    # The step moves nothing, and is not in the mean that is reported.
    at = steps[0]
    assert lines[at + 1]["validation_loss"] == lines[at]["validation_loss"]
    assert all(math.isfinite(value) for line in lines for value in line.values())


def test_two_processes_judge_as_one(tmp_path):
    one = training_runs.lines_of(tmp_path / "one", {"nonfinite": "skip"}, BROKEN)
    first, second = processes.start(2, training_runs.run, tmp_path / "two", {"nonfinite": "skip"}, BROKEN).results()
    assert first == second
    for line, other in zip(first, one, strict=True):
        assert line == {name: pytest.approx(value, rel=1e-5, abs=1e-5) for name, value in other.items()}
    messages = processes.start(2, training_runs.run, tmp_path / "stop", {}, BROKEN).results()
    assert messages[0] == messages[1]
    assert f"step {steps_with(BROKEN[0])[0]} (loss nan, gradient norm nan; document 40)" in messages[0]


def test_a_run_that_skips_everything_is_stopped(tmp_path):
    everything = tuple(range(90))
    with pytest.raises(UserError, match=r"not finite 10 steps in a row, last at step 9 .*the weights are broken"):
        training_runs.lines_of(tmp_path, {"nonfinite": "skip"}, everything)


@pytest.mark.parametrize("nonfinite", ["skip", "stop"])
def test_the_optimiser_that_skips_by_itself_does_the_same_without_waiting(tmp_path, monkeypatch, nonfinite):
    """What a GPU does: a flag on the device, read now and then. The CPU's fused AdamW knows the flag too."""

    changes = {"nonfinite": nonfinite, "evaluate_every": 10, "checkpoint_every": 3}

    def outcome(folder: Path) -> str:
        try:
            training_runs.lines_of(folder, changes, BROKEN)
        except UserError as error:
            return str(error)
        return (folder / "metrics.jsonl").read_text()

    expected = outcome(tmp_path / "reading")
    reads = []
    read = trainer.Outcomes.read
    monkeypatch.setattr(trainer, "skips_by_itself", lambda optimiser, device: True)
    monkeypatch.setattr(trainer, "READ_SECONDS", math.inf)
    monkeypatch.setattr(trainer.Outcomes, "read", lambda self: reads.append(len(self._steps)) or read(self))
    assert outcome(tmp_path / "by itself") == expected
    assert max(reads) == 3
    if nonfinite == "skip":
        assert torch.equal(*(weights(tmp_path / name / "final.safetensors") for name in ("reading", "by itself")))


def test_an_interval_of_which_all_was_skipped_has_no_loss(tmp_path):
    at = steps_with(BROKEN[0])[0]
    changes = {"nonfinite": "skip", "steps": at + 1}
    lines = training_runs.lines_of(tmp_path, changes, BROKEN)
    assert lines[-1]["step"] == at + 1 and lines[-1]["skipped"] == 1
    assert not {"train_loss", "gradient_norm"} & lines[-1].keys() and "train_loss" in lines[-2]
    assert json.loads((tmp_path / "trained.json").read_text())["final_loss"] is None


def test_documents_are_named_with_as_many_rows_at_once_as_the_step_had(tmp_path, monkeypatch):
    rows = []
    hidden = Transformer.hidden
    monkeypatch.setattr(
        Transformer, "hidden", lambda self, tokens, *a: rows.append(len(tokens)) or hidden(self, tokens, *a)
    )
    config = training_runs.config(accumulation=4)
    with pytest.raises(UserError, match="loss nan, gradient norm nan; document 40\\)"):
        trainer.train(training_runs.model(), training_runs.mixture(BROKEN), config, tmp_path)
    assert set(rows) == {2}


def test_more_documents_than_a_line_holds_are_counted(tmp_path):
    model = training_runs.model()
    with torch.no_grad():
        model.norm.weight[0] = math.nan
    named = r"at step 0 \(loss nan, gradient norm nan; (document \d+, ){4}document \d+ and \d+ more\)"
    with pytest.raises(UserError, match=named):
        trainer.train(model, training_runs.mixture(), training_runs.config(), tmp_path)
