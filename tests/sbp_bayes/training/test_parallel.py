"""A process on its own as a group of one."""

import threading
from collections.abc import Iterator

import pytest
import torch.distributed as dist
import training_runs

from sbp_bayes.training import parallel


@pytest.fixture(autouse=True)
def no_group() -> Iterator[None]:
    parallel.leave()
    yield
    parallel.leave()


def test_the_group_of_one_serves_every_run_of_the_process():
    first = parallel.alone("cpu", sharded=True)
    assert first.mesh is not None and parallel.alone("cpu", sharded=True) is first
    assert parallel.alone("cpu").mesh is None


def test_a_new_group_of_one_follows_one_that_was_left():
    first = parallel.alone("cpu", sharded=True)
    parallel.leave()
    second = parallel.alone("cpu", sharded=True)
    assert second is not first and dist.is_initialized() and second.every(3) == [3]


def test_a_run_in_bfloat16_leaves_no_thread_behind(tmp_path):
    before = threading.active_count()
    training_runs.lines_of(tmp_path, {"precision": "bfloat16", "steps": 2, "checkpoint_every": 1})
    assert threading.active_count() == before
