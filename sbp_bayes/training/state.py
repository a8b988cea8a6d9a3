"""Training states on disk: what a killed run goes on from. The newest few are kept, should the newest be damaged.

A process on its own writes one file, `step-000000012.pt`; several write a folder, `step-000000012`
(`sbp_bayes.training.distributed_checkpoint`). Either is read by any number of processes.
"""

import hashlib
import io
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.identity import of_another_run
from sbp_bayes.training.parallel import Parallel
from sbp_bayes.training.sharding import load, sharded_as_weights, weights_of

DIGEST = hashlib.sha256().digest_size
KEYS = {"identity", "model", "optimiser", "numbers"}  # of a state
PARTIAL = ".partial"  # ends the name of a folder that is being written


class SavedStates:
    """The states of one run, in ``folder``; ``identity`` names the run, ``keep`` of them stay."""

    def __init__(self, folder: Path, identity: str, parallel: Parallel, keep: int):
        self.folder, self.identity, self.parallel, self.keep = folder, identity, parallel, keep
        self._saver = None
        if parallel.mesh is not None:
            from sbp_bayes.training.distributed_checkpoint import BackgroundSaver

            self._saver = BackgroundSaver(folder, parallel, keep)

    def save(self, step: int, model: Transformer, optimiser: torch.optim.Optimizer, numbers: dict[str, Any]) -> None:
        """Save model, optimiser and ``numbers`` (plain values); several processes train on while it is written."""
        state = {
            "identity": self.identity,
            "model": weights_of(model),
            "optimiser": optimiser.state_dict(),
            "numbers": numbers,
        }
        if self._saver is None:
            save_state(self.folder, step, state, self.keep)
        else:
            self._saver.save(step, state)

    def restore(self, model: Transformer, optimiser: torch.optim.Optimizer) -> dict[str, Any] | None:
        """Bring model and optimiser to the newest whole state and return its numbers; None where there is no state.

        Raises UserError as `load_state` does.
        """
        state = load_state(self.folder, self.identity, self.parallel)
        if state is None:
            return None
        mesh = self.parallel.mesh
        load(model, state["model"], self.parallel.device)
        optimiser.load_state_dict(map_tensors(state["optimiser"], lambda _, tensor: sharded_as_weights(tensor, mesh)))
        return state["numbers"]

    def wait(self) -> None:
        """Return when all is on disk. Raises UserError where it could not be written."""
        if self._saver is not None:
            self._saver.wait()

    def close(self) -> None:
        """Let a state under way be written to its end, well or badly, and end the thread that does it."""
        if self._saver is not None:
            self._saver.close()


def save_state(folder: Path, step: int, state: dict[str, Any], keep: int) -> None:
    """Write the training state of ``step`` atomically, its checksum at the end; drop all but the newest ``keep``."""
    content = as_bytes(state)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())

    atomic_write(folder / f"{state_name(step)}.pt", write)
    drop_old_states(folder, keep)


def as_bytes(state: Any) -> memoryview:
    """What `torch.save` writes, in memory: to a disk that is full it raises what is no OSError.

    Of a view it would write all that lies around it, among replicas the other models, and two views of a number would
    come back as one.
    """
    buffer = io.BytesIO()
    torch.save(map_tensors(state, lambda _, tensor: _by_itself(tensor)), buffer)
    return buffer.getbuffer()


def load_state(folder: Path, identity: str, parallel: Parallel) -> dict[str, Any] | None:
    """The newest whole training state in ``folder``, None where there has been none.

    Its larger tensors are whole in memory after a process on its own has written them, otherwise sharded over the mesh
    of ``parallel``, where it has one. Raises UserError where every state is damaged, where a state can't be read, or
    where it belongs to another run than ``identity``. All processes take part.
    """
    paths = parallel.together(lambda: states(folder))
    damaged: list[str] = []
    for path in paths:
        if path.is_dir():
            from sbp_bayes.training.distributed_checkpoint import read_folder

            state = read_folder(path, parallel)
        else:
            state = parallel.together(lambda path=path: _read_file(path))
        if not isinstance(state, dict) or state.keys() != KEYS:
            damaged.append(path.name)
            continue
        if state["identity"] != identity:
            raise of_another_run(path, folder.parent)
        if damaged and parallel.first:
            line = f"{folder}: {', '.join(damaged)} damaged; going on from {path.name}"
            print(line, file=sys.stderr, flush=True)
        return state
    if paths:
        raise UserError(f"{folder}: every checkpoint is damaged; delete the folder to train from the start")
    return None


def states(folder: Path) -> list[Path]:
    """Training states, newest first. Raises UserError for a folder that can't be read."""
    with readable(folder):
        paths = folder.iterdir() if folder.is_dir() else ()
        return sorted((p for p in paths if re.fullmatch(r"step-\d{9}(\.pt)?", p.name)), reverse=True)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what the system says against reading ``path`` into UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror or error})") from error


def state_name(step: int) -> str:
    """The name of the state of ``step``, whose order is that of the steps."""
    return f"step-{step:09d}"


def drop_old_states(folder: Path, keep: int) -> None:
    """Delete all states but the newest ``keep``, and what a killed process left half written."""
    for old in states(folder)[keep:]:
        if old.is_dir():
            # A folder that loses its files while it still has its name would pass for a damaged state.
            old = old.rename(old.with_name(old.name + PARTIAL))
        else:
            old.unlink()
    for left in folder.glob(f"step-*{PARTIAL}"):
        shutil.rmtree(left)
    for left in folder.glob(".step-*"):
        left.unlink()


def map_tensors(value: Any, function: Callable[[str, Tensor], Tensor], name: str = "") -> Any:
    """``value`` with every tensor in its dictionaries and lists replaced by ``function(name, tensor)``."""
    if isinstance(value, Tensor):
        return function(name, value)
    if isinstance(value, dict):
        return {key: map_tensors(item, function, f"{name}/{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [map_tensors(item, function, f"{name}/{i}") for i, item in enumerate(value)]
    return value


def _by_itself(tensor: Tensor) -> Tensor:
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


def _read_file(path: Path) -> Any:
    """The state, None where it is damaged."""
    with readable(path):
        content = path.read_bytes()
    if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
        return None
    return torch.load(io.BytesIO(content[:-DIGEST]), weights_only=True, map_location="cpu")
