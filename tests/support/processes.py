"""Runs a function in several processes that train together over gloo, as torchrun would start them.

They are forked from a server that has torch loaded, so that a test does not wait for imports. A function is named by
its module, one of tests/support, and returns what can be pickled.
"""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

PRELOADED = ["torch", "torch.distributed.fsdp", "torch.distributed.checkpoint", "sbp_bayes.training.trainer", "pyarrow"]
WAIT_SECONDS = 90


@dataclass
class Group:
    """Processes under way; `results` waits for them, in the order of their ranks."""

    processes: list[BaseProcess]
    pipes: list[Connection]

    def results(self) -> list[Any]:
        """What each function returned. AssertionError with the traceback where one failed."""
        answers = [pipe.recv() if pipe.poll(WAIT_SECONDS) else ("failed", "no answer") for pipe in self.pipes]
        self.end()
        for rank, (kind, value) in enumerate(answers):
            assert kind == "done", f"process {rank}: {value}"
        return [value for _, value in answers]

    def end(self) -> None:
        """Kill what is still alive, and collect all."""
        for process in self.processes:
            process.kill()
            process.join()


def start(size: int, function: Callable, *arguments: Any) -> Group:
    """Start ``function(*arguments)`` in ``size`` processes that know each other by torchrun's variables."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes, pipes = [], []
    for rank in range(size):
        mine, theirs = context.Pipe(duplex=False)
        variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
        process = context.Process(target=_run, args=(theirs, variables, function, arguments), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        pipes.append(mine)
    return Group(processes, pipes)


def _run(pipe: Connection, variables: dict[str, int], function: Callable, arguments: tuple) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ.update({name: str(value) for name, value in variables.items()}, MASTER_ADDR="127.0.0.1")
    try:
        pipe.send(("done", function(*arguments)))
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))
