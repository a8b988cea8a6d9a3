"""Training states of several processes: each writes its shards (PyTorch's distributed checkpoint), while it trains on.

A state is a folder: the shards, ``state.pt`` (everything else, with shapes in place of the sharded tensors) and, last
of all, ``files.json`` with the size and SHA-256 of each file. It is written under another name and then renamed, so a
process killed at any moment leaves a whole state or none.
"""

import json
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor

from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write, file_hash, sync_folder, write_json
from sbp_bayes.training.parallel import Parallel
from sbp_bayes.training.sharding import is_sharded, placements
from sbp_bayes.training.state import PARTIAL, as_bytes, drop_old_states, map_tensors, readable, state_name

REST = "state.pt"
FILES = "files.json"


class BackgroundSaver:
    """Saves the states of one run in ``folder``, one at a time, by a thread of each process.

    Training waits only while a copy of the state is taken to the host's memory, and while the state before is still
    being written. Where a write fails, in whatever process, the next `save` or `wait` raises UserError in all.
    """

    def __init__(self, folder: Path, parallel: Parallel, keep: int):
        self.folder, self.parallel, self.keep = folder, parallel, keep
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._under_way: Future[None] | None = None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Begin to save ``state``, nested dictionaries and lists with tensors and plain values."""
        self.wait()
        tensors: dict[str, Tensor] = {}
        rest = map_tensors(state, lambda name, tensor: _take_apart(name, tensor, tensors))
        if self.parallel.device.type == "cuda":
            torch.cuda.synchronize()
        self._under_way = self._thread.submit(self._write, step, rest, tensors)

    def wait(self) -> None:
        """Return when the state under way, if any, is on disk. Raises UserError where it could not be written."""
        if self._under_way is not None:
            done, self._under_way = self._under_way, None
            done.result()

    def close(self) -> None:
        """Wait for the state under way, whatever comes of it; the thread ends."""
        self._thread.shutdown()

    def _write(self, step: int, rest: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        path = self.folder / state_name(step)
        partial = path.with_name(path.name + PARTIAL)
        first = self.parallel.first
        self._together(path, lambda: _new_folder(partial) if first else None)
        self._together(path, lambda: _write_shards(tensors, partial, self.parallel))
        mine = self._together(path, lambda: _describe(partial, f"__{self.parallel.rank}_*"))
        if first:
            files = {name: value for part in mine for name, value in part.items()}
            self._together(path, lambda: self._complete(path, partial, rest, files))
        else:
            self._together(path, lambda: None)

    def _complete(self, path: Path, partial: Path, rest: dict[str, Any], files: dict[str, Any]) -> None:
        content = as_bytes(rest)
        atomic_write(partial / REST, lambda temporary: temporary.write_bytes(content))
        write_json(partial / FILES, files | _describe(partial, REST) | _describe(partial, ".metadata"))
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
        sync_folder(self.folder)
        drop_old_states(self.folder, self.keep)

    def _together(self, path: Path, work: Callable[[], Any]) -> list[Any]:
        """Each process's result of ``work``; where one fails, UserError in all."""
        result = None
        try:
            result, error = work(), None
        except UserError as raised:
            error = str(raised)
        except OSError as raised:
            error = f"{path}: could not be written ({raised.strerror or raised})"
        results: list = [None] * self.parallel.size
        dist.all_gather_object(results, (result, error), group=self.parallel.saving)
        for _, message in results:
            if message:
                raise UserError(message)
        return [value for value, _ in results]


def read_folder(path: Path, parallel: Parallel) -> dict[str, Any] | None:
    """The state in folder ``path``, or None where a file is missing or damaged. All processes take part.

    Raises UserError where a file can't be read.
    """
    if not _whole(path, parallel):
        return None
    tensors: dict[str, Tensor] = {}

    def room(name: str, tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            tensor = tensors[name] = _empty(tensor, parallel)
        return tensor

    state = map_tensors(torch.load(path / REST, weights_only=True), room)
    with warnings.catch_warnings():
        # A process on its own is told, each time, that it is on its own.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        group = parallel.host if parallel.mesh is not None else None
        dcp.load(tensors, checkpoint_id=path, process_group=group, no_dist=parallel.mesh is None)
    return state


def _take_apart(name: str, tensor: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """A tensor of at least one dimension goes to ``tensors``, copied to the host; its shape stays behind."""
    tensor = tensor.detach()
    copy = tensor.clone() if tensor.device.type == "cpu" else tensor.to("cpu", non_blocking=True)
    if tensor.dim() == 0:
        return copy
    tensors[name] = copy
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


def _empty(like: Tensor, parallel: Parallel) -> Tensor:
    """Room for a tensor of the shape and type of ``like``, laid out as weights are (`sbp_bayes.training.sharding`)."""
    if parallel.mesh is None:
        return torch.empty(like.shape, dtype=like.dtype)
    from torch.distributed.tensor import empty

    return empty(like.shape, dtype=like.dtype, device_mesh=parallel.mesh, placements=placements(parallel.mesh))


def _new_folder(partial: Path) -> None:
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)


def _write_shards(tensors: dict[str, Tensor], partial: Path, parallel: Parallel) -> None:
    assert all(is_sharded(tensor) for tensor in tensors.values())
    try:
        dcp.save(tensors, checkpoint_id=partial, process_group=parallel.saving)
    except dcp.api.CheckpointException as error:
        cause = next(iter(error.failures.values()))[0]
        reason = getattr(cause, "strerror", None) or str(cause).splitlines()[0]
        raise UserError(f"{partial.with_suffix('')}: could not be written ({reason})") from error


def _describe(folder: Path, pattern: str) -> dict[str, list]:
    """Size in bytes and SHA-256 of the files whose names match ``pattern``."""
    return {path.name: [path.stat().st_size, file_hash(path)] for path in sorted(folder.glob(pattern))}


def _whole(path: Path, parallel: Parallel) -> bool:
    """Whether every file is as it was written; the processes share the reading."""

    def damaged() -> bool:
        with readable(path):
            files = _files(path)
            mine = sorted(files.items())[parallel.rank :: parallel.size]
            sizes = ((path / name).is_file() and (path / name).stat().st_size == size for name, (size, _) in mine)
            return not files or not all(sizes) or any(file_hash(path / name) != digest for name, (_, digest) in mine)

    return parallel.totals(parallel.together(damaged))[0] == 0


def _files(path: Path) -> dict[str, tuple[int, str]]:
    """What files.json says of each file; nothing where it is damaged itself."""
    try:
        files = json.loads((path / FILES).read_text(encoding="utf-8"))
        files = {name: (int(size), str(digest)) for name, (size, digest) in files.items()}
    except (FileNotFoundError, AttributeError, TypeError, ValueError):
        return {}
    return files if {REST, ".metadata"} < files.keys() else {}
