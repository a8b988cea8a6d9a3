"""A stage: a function of its config and of other stages' outputs, named by the hash of both.

A finished stage is a folder ``KIND-HASH`` that is never written again; one under way is ``KIND-HASH.partial``.
The folder appears by one rename, so that a process killed at any moment leaves a stage finished or unfinished.
Two experiments that share a stage share its folder.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from sbp_bayes import plugins
from sbp_bayes.errors import UserError
from sbp_bayes.files import (
    content_hash,
    exclusive,
    file_hash,
    read_json,
    remove_interrupted_writes,
    sync_folder,
    write_json,
)
from sbp_bayes.ledger import Entry

RECORD = "stage.json"


@dataclass(frozen=True)
class Stage:
    """One stage of an experiment.

    kind:   names the function that runs it (`sbp_bayes.stages.KINDS`)
    name:   for people: ``seed 3: arm sbp``; not part of its identity
    config: JSON-like values; with the inputs they determine the output
    inputs: stages whose folders the function reads, by the name it knows them under
    identity: what of the config names the stage; None: all of it
    cost:   expected work, in tokens through a model; only for the estimate of time left
    """

    kind: str
    name: str
    config: dict[str, Any]
    inputs: dict[str, "Stage"] = field(default_factory=dict)
    cost: float = 1.0
    identity: dict[str, Any] | None = None

    @cached_property
    def key(self) -> str:
        named = self.config if self.identity is None else self.identity
        return content_hash([self.kind, named, {name: stage.key for name, stage in self.inputs.items()}])

    def folder(self, root: Path) -> Path:
        return root / f"{self.kind}-{self.key}"

    def is_finished(self, root: Path) -> bool:
        return (self.folder(root) / RECORD).exists()


@dataclass(frozen=True)
class Kind:
    """How stages of one kind run: ``run(stage, inputs, out, device)`` -> what it spent.

    A resumable kind finds in ``out`` what an interrupted process left; for the others ``out`` starts empty.
    """

    run: Callable[[Stage, dict[str, Path], Path, str], list[Entry]]
    resumable: bool = False


def run_stage(stage: Stage, kind: Kind, root: Path, device: str) -> None:
    """Run one stage unless it is finished; its inputs must be. Safe against another process doing the same.

    Raises UserError for bad input and for a disk that is full.
    """
    with exclusive(root / ".locks" / f"{stage.kind}-{stage.key}", stage.name):
        if stage.is_finished(root):
            return
        for source in stage.inputs.values():
            _verify(source.folder(root))
        final = stage.folder(root)
        partial = final.with_name(f"{final.name}.partial")
        if partial.exists() and not kind.resumable:
            shutil.rmtree(partial)
        try:
            partial.mkdir(parents=True, exist_ok=True)
            remove_interrupted_writes(partial)
            start = time.monotonic()
            entries = kind.run(stage, {name: s.folder(root) for name, s in stage.inputs.items()}, partial, device)
            record = {
                "kind": stage.kind,
                "name": stage.name,
                "code": code_hash(),
                "config": stage.config,
                "inputs": {name: s.folder(root).name for name, s in stage.inputs.items()},
                "ledger": entries,
                "seconds": round(time.monotonic() - start, 3),
                "files": {str(f.relative_to(partial)): file_hash(f) for f in sorted(partial.rglob("*")) if f.is_file()},
            }
            write_json(partial / RECORD, record)
            partial.rename(final)
            sync_folder(root)
        except OSError as error:
            raise UserError(f"{stage.name}: {error.strerror or error} ({error.filename or partial})") from error


def made_by_other_code(stages: list[Stage], root: Path) -> list[Stage]:
    """The finished stages whose code has changed since; they are kept, for a comment changes the code as well."""
    finished = [stage for stage in stages if stage.is_finished(root)]
    return [stage for stage in finished if read_record(stage, root).get("code") != code_hash()]


def read_record(stage: Stage, root: Path) -> dict:
    """The record of a finished stage: config, inputs, ledger entries, seconds."""
    return read_json(stage.folder(root) / RECORD)


def in_order(targets: list[Stage]) -> list[Stage]:
    """All stages that the targets need, each once (by key), inputs before what reads them."""
    order: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in order:
            for source in stage.inputs.values():
                visit(source)
            order[stage.key] = stage

    for target in targets:
        visit(target)
    return list(order.values())


@cache
def _verify(folder: Path) -> None:
    """Compare a finished stage's files with what was recorded, once a process; UserError names one that differs."""
    record = read_json(folder / RECORD)
    for name, recorded in record.get("files", {}).items() if isinstance(record, dict) else [(RECORD, "")]:
        file = folder / name
        if not file.is_file() or file_hash(file) != recorded:
            raise UserError(f"{file}: damaged since it was written; delete {folder} and it is made again")


@cache
def code_hash() -> str:
    """Identifies the source of this package and of every package whose plugins it may call."""
    folders = {Path(__file__).parent, *plugins.package_folders()}
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return content_hash([[str(file.relative_to(file.parents[1])), file_hash(file)] for file in files])
