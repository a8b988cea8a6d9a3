"""A process on its own as a group of one."""

from collections.abc import Iterator

import pytest
import torch.distributed as dist

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
