"""What names a training run: a folder that belongs to one is refused to any other."""

import dataclasses
from pathlib import Path

from sbp_bayes.documents.packing import Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash
from sbp_bayes.model.transformer import ModelConfig
from sbp_bayes.training.configuration import TrainingConfig


def run_identity(
    config: TrainingConfig, model: ModelConfig, mixture: Mixture, validation: Packed | None, tokenizer: str, start: str
) -> str:
    """16 hexadecimal digits of everything that decides the result.

    How often a run is saved does not decide it, nor in how many parts a batch is computed, which may have to change
    with the number of processes. tokenizer: its fingerprint; start: names the first weights, where the config's seed
    does not.
    """
    return content_hash(
        {
            "config": config.identity() | {"accumulation": 1},
            "model": dataclasses.asdict(model),
            "start": start,
            "data": mixture.describe(),
            "validation": None if validation is None else validation.describe(),
            "tokenizer": tokenizer,
        }
    )


def of_another_run(path: Path, folder: Path) -> UserError:
    """What says that ``path``, in the folder of a run, belongs to another."""
    advice = f"take another folder, or delete {folder}"
    return UserError(f"{path}: belongs to a run with another configuration or data; {advice}")
