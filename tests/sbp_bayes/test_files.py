import json
import math
import resource
from pathlib import Path

import numpy as np
import pytest

from sbp_bayes.errors import UserError
from sbp_bayes.files import (
    atomic_write,
    content_hash,
    exclusive,
    read_json,
    remove_interrupted_writes,
    write_array,
    write_json,
)
from sbp_bayes.results import Result, read_results, write_results
from sbp_bayes.seeds import generator, seed_for


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": math.nan})

    def half(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        atomic_write(path, half)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_an_array_that_the_disk_has_no_room_for_is_named_with_what_the_system_says(tmp_path):
    write_array(tmp_path / "small.npy", np.arange(10))
    assert (np.load(tmp_path / "small.npy") == np.arange(10)).all()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(UserError, match=r"large\.npy: could not be written \(File too large\)"):
            write_array(tmp_path / "large.npy", np.arange(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["small.npy"]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    def die(temporary):
        (tmp_path / "left").write_text(temporary.name)
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Path, "unlink", lambda self, missing_ok: None)  # a killed process removes nothing
        atomic_write(tmp_path / "sub" / "best.safetensors", die)
    left = tmp_path / "sub" / (tmp_path / "left").read_text()
    for name in (".lock", "best.safetensors", ".hidden.json"):
        (tmp_path / "sub" / name).touch()
    assert left.exists()
    remove_interrupted_writes(tmp_path)
    assert sorted(f.name for f in (tmp_path / "sub").iterdir()) == [".hidden.json", ".lock", "best.safetensors"]


def test_hash_ignores_the_order_of_keys_only():
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert content_hash({"a": 1}) != content_hash({"a": 1.5})


def test_a_lock_that_is_held_is_refused_where_nobody_waits(tmp_path):
    second = exclusive(tmp_path / "lock", "second", wait=False)
    with exclusive(tmp_path / "lock", "first"), pytest.raises(UserError, match="second: another process is at it"):
        second.__enter__()
    with exclusive(tmp_path / "lock", "third", wait=False):
        pass


def test_broken_json_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match=r"x\.json"):
        read_json(tmp_path / "x.json")
    with pytest.raises(UserError, match="not found"):
        read_json(tmp_path / "y.json")


def test_results_come_back_and_infinity_becomes_a_gap(tmp_path):
    rows = [
        Result("bayes_gap", "prior", "bow", 0, 1.5, 0.1, 10, 0.0, "nats/document"),
        Result("bayes_gap", "map", "bow", None, math.inf, None, 10, 0.0, "nats/document", at=3.0),
    ]
    write_results(tmp_path, rows)
    first, second = read_results(tmp_path)
    assert first == rows[0]
    assert math.isnan(second.estimate)
    assert (tmp_path / "results.parquet").exists()
    (tmp_path / "results.json").write_text('[{"measure": "x"}]')
    with pytest.raises(UserError, match="not a results table"):
        read_results(tmp_path)


def test_seeds_depend_on_the_whole_path():
    assert seed_for("a", 1) == seed_for("a", 1)
    assert len({seed_for("a", 1), seed_for("a", "1"), seed_for("a1"), seed_for(1, "a")}) == 4
    assert generator("x").initial_seed() == seed_for("x")
