"""Writing weights: the one place that knows how safetensors fails."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write


def write_weights(path: Path, weights: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors atomically as safetensors; a disk that is full is a UserError, as with any other file."""
    try:
        atomic_write(path, lambda temporary: save_file(weights, temporary, metadata))
    except SafetensorError as error:  # what safetensors makes of the system's own errors
        raise UserError(f"{path}: could not be written ({error})") from error
