"""Files that are either whole or absent, and hashes that name them."""

import dataclasses
import fcntl
import hashlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    import numpy as np

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # names of `atomic_write`, as tempfile makes them


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write(temporary)`` and move the result to ``path``: temporary name, fsync, rename.

    A process killed at any moment leaves the old file or the new one, never half of one.
    Raises UserError when the disk is full or the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error.strerror or error})") from error


def remove_interrupted_writes(folder: Path) -> None:
    """Remove what killed processes left of `atomic_write` anywhere in ``folder``; nothing may be writing there."""
    for file in folder.rglob(".*"):
        if TEMPORARY.fullmatch(file.name) and file.is_file():
            file.unlink()


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def exclusive(path: Path, work: str, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``, waiting while another process holds it; the system frees it when a process dies.

    work: what is locked, for the line that says that it waits. Raises UserError where the folder can't be written, and,
    with ``wait`` False, where another process holds the lock.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise UserError(f"{path.parent}: can't write there ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                raise UserError(f"{work}: another process is at it") from error
            print(f"{work}: another process is at it; waiting", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically as UTF-8."""
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically as indented JSON; NaN and infinities are refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False, default=plain) + "\n")


def write_array(path: Path, array: "np.ndarray") -> None:
    """Write ``array`` atomically as .npy; memory: the array twice."""
    import numpy as np

    # Given a file, NumPy would write to it past Python, and tell of a full disk how many items it took, and no more.
    content = io.BytesIO()
    np.save(content, array)
    atomic_write(path, lambda temporary: temporary.write_bytes(content.getbuffer()))


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file is a UserError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from error


def plain(value: Any) -> Any:
    """``json.dumps(default=plain)``: dataclasses, paths and NumPy or torch scalars as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def content_hash(value: Any) -> str:
    """16 hexadecimal digits that identify a JSON-like value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, default=plain, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
