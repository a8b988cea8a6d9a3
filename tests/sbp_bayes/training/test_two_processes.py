"""Several processes train as one does, and go on from what any number of processes left."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import processes
import pytest
import training_runs

from sbp_bayes.errors import UserError
from sbp_bayes.files import exclusive
from sbp_bayes.training import distributed_checkpoint
from sbp_bayes.training.state import states

EVERY_4 = {"checkpoint_every": 4}
DIES_AT = 14  # of 20 steps; by then the states of steps 4 and 8 are whole, that of step 12 perhaps


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> list[dict]:
    """An undisturbed run of one process."""
    return training_runs.lines_of(tmp_path_factory.mktemp("one"), {})


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> tuple[Path, list[dict]]:
    """An undisturbed run of two: its folder and lines."""
    folder = tmp_path_factory.mktemp("two")
    lines = processes.start(2, training_runs.run, folder, EVERY_4).results()
    assert lines[0] == lines[1]
    return folder, lines[0]


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """The folder of a run of two processes, of which the second was killed in the middle of a step."""
    folder = tmp_path_factory.mktemp("killed")
    group = processes.start(2, training_runs.run_and_die, folder, EVERY_4, 1, DIES_AT)
    group.processes[1].join(60)
    assert group.processes[1].exitcode == -9
    group.end()
    assert len(states(folder / "state")) >= 2 and not (folder / "trained.json").exists()
    return folder


@pytest.fixture
def left(killed, tmp_path) -> Path:
    """A copy of what the killed run left."""
    return Path(shutil.copytree(killed, tmp_path / "left"))


def same(found: list[dict], expected: list[dict]) -> None:
    """Every figure of every step within 1e-5, and learning rates to the last bit."""
    assert len(found) == len(expected) == training_runs.STEPS + 1
    for line, other in zip(found, expected, strict=True):
        assert line == {name: pytest.approx(value, rel=1e-5, abs=1e-5) for name, value in other.items()}
        assert line.get("learning_rate") == other.get("learning_rate")


def distance(found: list[dict], expected: list[dict]) -> float:
    """The largest difference between held-out losses."""
    return max(abs(a["validation_loss"] - b["validation_loss"]) for a, b in zip(found, expected, strict=True))


def test_two_processes_equal_one(one, two):
    same(two[1], one)
    assert one[-1]["train_loss"] != one[1]["train_loss"]


def test_resumed_by_as_many_processes_it_ends_with_the_same_bits(two, left):
    lines = processes.start(2, training_runs.run, left, EVERY_4).results()[0]
    assert lines == two[1]
    for name in ("final.safetensors", "best.safetensors", "trained.json"):
        assert (left / name).read_bytes() == (two[0] / name).read_bytes(), name
    assert not (left / "state").exists()


def test_one_process_that_is_asked_to_stop_stops_all_with_their_state(two, tmp_path):
    said = processes.start(2, training_runs.run_until_asked, tmp_path, {}, 1, 10).results()
    assert said[0] == said[1] == f"{tmp_path}: stopped by a signal; step 11 is saved, the same command goes on from it"
    assert [path.name for path in states(tmp_path / "state")] == ["step-000000011"]
    assert processes.start(2, training_runs.run, tmp_path, {}).results()[0] == two[1]


def test_two_processes_leave_what_one_goes_on_from(one, left):
    same(training_runs.lines_of(left, {}), one)


def test_one_process_leaves_what_two_go_on_from(one, tmp_path):
    group = processes.start(1, training_runs.run_alone_and_die, tmp_path, EVERY_4, DIES_AT)
    group.processes[0].join(60)
    assert [path.name for path in states(tmp_path / "state")] == ["step-000000012.pt", "step-000000008.pt"]
    same(processes.start(2, training_runs.run, tmp_path, {}).results()[0], one)


def test_killed_while_saving_it_goes_on_from_the_state_before(one, tmp_path):
    group = processes.start(2, training_runs.run_and_die_saving, tmp_path, EVERY_4, 1, 2)
    group.processes[1].join(60)
    assert group.processes[1].exitcode == -9
    group.end()
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [
        "step-000000004",
        "step-000000008.partial",
    ]
    same(training_runs.lines_of(tmp_path, {}), one)


def test_a_state_is_that_of_the_step_at_which_its_saving_began(tmp_path):
    for before, after in processes.start(2, training_runs.saved_while_training_goes_on, tmp_path).results():
        assert before == after


@pytest.mark.parametrize("name", ["__1_0.distcp", "state.pt", ".metadata", "files.json"])
def test_a_damaged_state_is_passed_over_for_the_one_before(one, left, name):
    newest, before = states(left / "state")[:2]
    content = (newest / name).read_bytes()
    middle = len(content) // 2
    damaged = content[:middle] if name != "state.pt" else content[:middle] + b"\xff" + content[middle + 1 :]
    (newest / name).write_bytes(damaged)
    whole = json.loads((before / "files.json").read_text())
    assert set(whole) == {"__0_0.distcp", "__1_0.distcp", "state.pt", ".metadata"}
    same(training_runs.lines_of(left, {}), one)


def test_only_damaged_states_is_an_error_that_says_what_to_do(left):
    for state in states(left / "state"):
        (state / "__0_0.distcp").unlink()
    with pytest.raises(UserError, match="state: every checkpoint is damaged; delete"):
        training_runs.lines_of(left, {})


def test_a_state_of_another_run_is_refused(left):
    with pytest.raises(UserError, match=r"step-0000000\d\d: belongs to a run with another configuration"):
        training_runs.lines_of(left, {"learning_rate": 2e-2})


def test_a_full_disk_of_one_process_is_one_line_in_all(tmp_path):
    first, second = processes.start(2, training_runs.run_on_full_disk, tmp_path, EVERY_4, 1, 8192).results()
    assert first == second
    assert first.endswith("step-000000004: could not be written (File too large)")


def test_a_disk_that_is_full_after_the_shards_is_one_line_in_all(tmp_path):
    # No evaluation meanwhile: its files would not fit the disk either.
    changes = {**EVERY_4, "evaluate_every": training_runs.STEPS}
    first, second = processes.start(2, training_runs.run_on_disk_full_after_shards, tmp_path, changes).results()
    assert first == second
    assert first.endswith("step-000000004.partial/state.pt: could not be written (File too large)")


def test_a_second_launch_in_a_folder_is_refused_in_all_processes(tmp_path):
    with exclusive(tmp_path / ".lock", "the first"):
        messages = processes.start(2, training_runs.run, tmp_path, {}).results()
    assert messages == [f"{tmp_path}: another process is at it"] * 2


@pytest.mark.parametrize("content", ["{}", "[]", '{"state.pt": 3}', "null"])
def test_a_list_of_files_that_is_none_makes_a_state_damaged(one, left, content):
    (states(left / "state")[0] / "files.json").write_text(content)
    same(training_runs.lines_of(left, {}), one)


def test_a_file_that_cannot_be_read_is_one_line(left, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(distributed_checkpoint, "file_hash", refuse)
    with pytest.raises(UserError, match=r"step-0000000\d\d: can't be read \(Permission denied\)"):
        training_runs.lines_of(left, {})


def test_copies_of_shards_equal_one_process(one, tmp_path):
    lines = processes.start(4, training_runs.run, tmp_path, {"accumulation": 2}, (), 2).results()
    same(lines[3], one)


def test_what_changes_only_how_a_step_is_computed_changes_no_loss(one, tmp_path):
    runs = {
        "accumulation": {"accumulation": 4},
        "checkpointing": {"activation_checkpointing": True},
        "short": {"steps": 8},
        "muon": {"optimiser": "muon", "steps": 8},
        "low": {"precision": "bfloat16", "steps": 8},
    }
    found = processes.start(2, training_runs.several, tmp_path, runs).results()[0]
    same(found["accumulation"], one)
    same(found["checkpointing"], one)
    # Muon orthogonalises in bfloat16, which turns differences in the last bit of a gradient into 1e-4 of a step.
    assert distance(found["muon"], training_runs.lines_of(tmp_path / "one", runs["muon"])) < 1e-3
    assert distance(found["muon"], found["short"]) > 5e-3
    assert 1e-5 < distance(found["low"], found["short"]) < 1e-2


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_model_filled_in_shards_has_the_weights_of_one_filled_whole(replicas):
    expected = dict(training_runs.model().named_parameters())
    for weights in processes.start(2, training_runs.filled_from_meta, replicas).results():
        assert weights.keys() == expected.keys()
        assert all(np.array_equal(weight, expected[name].detach()) for name, weight in weights.items())


def test_rows_that_cannot_be_shared_out_are_refused(tmp_path):
    message = processes.start(2, training_runs.run, tmp_path, {"batch_tokens": 7 * training_runs.CONTEXT}).results()[0]
    assert (
        message
        == "training.batch_tokens: 7 rows a step can't be shared out to 2 processes in 1 parts each; 128 tokens can"
    )
