"""Weights as safetensors that carry the model's shape and the fingerprint of its tokenizer."""

import dataclasses
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.model.weights import write_weights

FINAL = "final.safetensors"  # the weights at the end of training
BEST = "best.safetensors"  # those with the lowest held-out loss
METADATA = "sbp_bayes"


def save_model(model: Transformer, path: Path, tokenizer_fingerprint: str = "") -> None:
    """Write the weights atomically; shape and tokenizer fingerprint travel in the file's metadata."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.named_parameters()}
    save_weights(weights, model.config, path, tokenizer_fingerprint)


def save_weights(weights: dict[str, Tensor], config: ModelConfig, path: Path, tokenizer_fingerprint: str) -> None:
    """`save_model` of weights that have been gathered from several processes."""
    # One key: safetensors writes several in an order that changes from run to run.
    description = {"config": dataclasses.asdict(config), "tokenizer": tokenizer_fingerprint}
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
