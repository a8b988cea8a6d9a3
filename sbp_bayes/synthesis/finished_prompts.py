"""Documents that are written, on disk as they come, so that a synthesis that is killed goes on where it was."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.synthesis.sampler import Written

FILE = "finished.jsonl"


class FinishedPrompts:
    """``with FinishedPrompts(folder, identity) as finished``: documents by key (prompt, first copy).

    One line of JSON a key, appended when its documents are there; a line that a kill left half-written is dropped.
    identity: JSON-like, all that decides the documents. UserError: the folder is of another synthesis, or damaged.
    """

    def __init__(self, folder: Path, identity: Any):
        self.path = folder / FILE
        self.documents: dict[tuple[int, int], list[Written]] = {}
        header = {"synthesis": content_hash(identity)}
        lines = self._whole_lines()
        if not lines:
            folder.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps(header)]
            self.path.write_text(lines[0] + "\n", encoding="utf-8")
        try:
            found = [json.loads(line) for line in lines]
            if found[0] != header:
                raise UserError(f"{self.path}: belongs to another synthesis; name another folder, or delete it")
            for entry in found[1:]:
                self.documents[tuple(entry["key"])] = [_read(document) for document in entry["documents"]]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: damaged ({error!r}); delete it to begin again") from error

    def _whole_lines(self) -> list[str]:
        """The lines that end; what follows the last of them is cut off the file."""
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self.path.open("rb+") as file:
                file.truncate(len(whole))
        return whole.decode("utf-8", "replace").splitlines()

    def __enter__(self) -> "FinishedPrompts":
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, kind, value, traceback) -> None:
        # A full disk that `add` has told about refuses the rest of the line again.
        with contextlib.suppress(OSError):
            self._file.close()

    def add(self, key: tuple[int, int], documents: list[Written]) -> None:
        """Keep the documents of ``key``. UserError where the disk is full."""
        entry = {"key": key, "documents": [_plain(document) for document in documents]}
        try:
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError as error:
            raise UserError(f"{self.path}: could not be written ({error.strerror})") from error
        self.documents[key] = documents


def _plain(document: Written) -> dict:
    log_probs = [round(float(log_prob), 6) for log_prob in document.log_probs]
    return {"tokens": document.tokens.tolist(), "log_probs": log_probs, "finished": bool(document.finished)}


def _read(entry: dict) -> Written:
    return Written(np.array(entry["tokens"], np.int64), np.array(entry["log_probs"], np.float64), entry["finished"])


def weights_digest(model: Transformer) -> str:
    """SHA-256 of the weights, for an identity."""
    digest = hashlib.sha256()
    for weight in model.parameters():
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
