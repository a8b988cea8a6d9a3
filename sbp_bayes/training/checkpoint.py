"""Weights as safetensors that carry the model's shape, and training states that survive a kill at any moment."""

import dataclasses
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.model.weights import write_weights

FINAL = "final.safetensors"  # the weights at the end of training
BEST = "best.safetensors"  # those with the lowest held-out loss
KEEP = 2  # training states kept: the newest, and the one before it should the newest be damaged
METADATA = "sbp_bayes"
DIGEST = hashlib.sha256().digest_size


def save_model(model: Transformer, path: Path, tokenizer_fingerprint: str = "") -> None:
    """Write the weights atomically; shape and tokenizer fingerprint travel in the file's metadata."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.named_parameters()}
    # One key: safetensors writes several in an order that changes from run to run.
    description = {"config": dataclasses.asdict(model.config), "tokenizer": tokenizer_fingerprint}
    write_weights(path, weights, {METADATA: json.dumps(description)})


def load_model(path: Path, tokenizer_fingerprint: str | None = None, config: ModelConfig | None = None) -> Transformer:
    """Read a model. UserError if the file is missing or damaged, if it was trained with another tokenizer than
    ``tokenizer_fingerprint``, or if it has another shape than ``config``, where those are given.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: not found, expected a checkpoint (.safetensors)")
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads(file.metadata()[METADATA])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        stored, tokenizer = ModelConfig(**description["config"]), description["tokenizer"]
        model = Transformer(stored)
        model.load_state_dict(weights)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a checkpoint of this program, or damaged ({reason})") from error
    if config is not None and stored != config:
        differing = [f.name for f in dataclasses.fields(config) if getattr(config, f.name) != getattr(stored, f.name)]
        differences = ", ".join(f"{n} {getattr(stored, n)} (expected {getattr(config, n)})" for n in differing)
        raise UserError(f"{path}: the model's shape does not fit: {differences}")
    if tokenizer_fingerprint is not None and tokenizer != tokenizer_fingerprint:
        raise UserError(f"{path}: trained with tokenizer {tokenizer or 'none'}, expected {tokenizer_fingerprint}")
    return model


def save_state(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the training state of ``step`` atomically, its checksum at the end, and drop all but the newest two."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    path = folder / f"step-{step:09d}.pt"

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())

    atomic_write(path, write)
    for old in _states(folder)[KEEP:]:
        old.unlink()


def load_state(folder: Path, identity: str) -> dict[str, Any] | None:
    """The newest whole training state in ``folder``, None where there has been none.

    Raises UserError where every state is damaged, or where a state belongs to another run than ``identity``.
    """
    paths = _states(folder)
    for path in paths:
        content = path.read_bytes()
        if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
            continue
        state = torch.load(io.BytesIO(content[:-DIGEST]), weights_only=True)
        if state["identity"] != identity:
            raise UserError(f"{path}: belongs to a run with another configuration or data; delete {folder.parent}")
        return state
    if paths:
        raise UserError(f"{folder}: every checkpoint is damaged; delete the folder to train from the start")
    return None


def _states(folder: Path) -> list[Path]:
    """Training states, newest first."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if re.fullmatch(r"step-\d{9}\.pt", p.name)), reverse=True)
