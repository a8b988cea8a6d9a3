import multiprocessing
import os
import signal
import time

import pytest

from sbp_bayes.errors import UserError
from sbp_bayes.graph import Kind, Stage, in_order, read_record, run_stage
from sbp_bayes.ledger import Entry


def write_once(stage, inputs, out, device):
    """Fails when called a second time for the same stage."""
    with (out / "value").open("x") as file:
        file.write("".join((folder / "value").read_text() for folder in inputs.values()) + stage.name)
    return [Entry(stage.name, "training", 3, 4.0)]


def test_identity_is_config_and_inputs_not_the_name():
    a = Stage("k", "a", {"x": 1})
    assert a.key == Stage("k", "renamed", {"x": 1}, cost=9.0).key
    assert len({a.key, Stage("k", "a", {"x": 2}).key, Stage("j", "a", {"x": 1}).key}) == 3
    assert Stage("k", "b", {}, {"in": a}).key != Stage("k", "b", {}, {"other": a}).key
    assert Stage("k", "b", {}, {"in": a}).key != Stage("k", "b", {}, {"in": Stage("k", "a", {"x": 2})}).key


def test_a_finished_stage_is_not_run_again(tmp_path):
    a = Stage("k", "a", {"x": 1})
    b = Stage("k", "b", {}, {"in": a})
    for stage in [*in_order([b, b, a]), a, b]:
        run_stage(stage, Kind(write_once), tmp_path, "cpu")
    assert (b.folder(tmp_path) / "value").read_text() == "ab"
    record = read_record(b, tmp_path)
    assert record["inputs"] == {"in": a.folder(tmp_path).name}
    assert record["ledger"][0]["tokens"] == 3


def test_order_puts_inputs_first_and_each_stage_once():
    a = Stage("k", "a", {})
    b = Stage("k", "b", {"b": 1}, {"a": a})
    c = Stage("k", "c", {"c": 1}, {"a": a, "b": b})
    assert [s.name for s in in_order([c, b])] == ["a", "b", "c"]


def test_a_resumed_stage_keeps_no_half_written_file(tmp_path):
    stage = Stage("k", "a", {})
    partial = tmp_path / f"{stage.folder(tmp_path).name}.partial"
    partial.mkdir(parents=True)
    (partial / ".best.safetensors.abcd1234").touch()
    (partial / "state").touch()
    run_stage(stage, Kind(write_once, resumable=True), tmp_path, "cpu")
    assert sorted(read_record(stage, tmp_path)["files"]) == ["state", "value"]


def append_slowly(stage, inputs, out, device):
    """Counts to 20 on disk, one line a step, from where it was."""
    with (out / "count").open("a+") as file:
        file.seek(0)
        for i in range(len(file.readlines()), 20):
            file.write(f"{i}\n")
            file.flush()
            time.sleep(0.02)
    return []


def run_counting(root, resumable):
    run_stage(Stage("count", "count", {}), Kind(append_slowly, resumable), root, "cpu")


@pytest.mark.parametrize("resumable", [True, False])
def test_a_killed_stage_is_unfinished_and_then_completes(tmp_path, resumable):
    context = multiprocessing.get_context("spawn")
    stage = Stage("count", "count", {})
    process = context.Process(target=run_counting, args=(tmp_path, resumable))
    process.start()
    partial = stage.folder(tmp_path).with_suffix(".partial") / "count"
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not stage.is_finished(tmp_path)
    assert partial.exists()
    run_counting(tmp_path, resumable)
    assert (stage.folder(tmp_path) / "count").read_text() == "".join(f"{i}\n" for i in range(20))


def test_two_processes_run_a_stage_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=run_counting, args=(tmp_path, False)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [p.exitcode for p in processes] == [0, 0]
    assert (Stage("count", "count", {}).folder(tmp_path) / "count").read_text().count("\n") == 20


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_input_is_named_before_it_is_read(tmp_path, damage):
    a = Stage("k", "a", {"x": damage})
    run_stage(a, Kind(write_once), tmp_path, "cpu")
    file = a.folder(tmp_path) / "value"
    if damage == "missing":
        file.unlink()
    else:
        file.write_text("b")
    b = Stage("k", "b", {}, {"in": a})
    with pytest.raises(UserError, match="value: damaged since it was written; delete"):
        run_stage(b, Kind(write_once), tmp_path, "cpu")
    assert not b.is_finished(tmp_path)


def fill_disk(stage, inputs, out, device):
    raise OSError(28, "No space left on device", str(out / "shard"))


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"full: No space left on device \(.*shard\)"):
        run_stage(Stage("k", "full", {}), Kind(fill_disk), tmp_path, "cpu")


def test_a_root_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't write there"):
        run_stage(Stage("k", "a", {}), Kind(write_once), tmp_path / "file", "cpu")
