"""Embeddings on disk, in shards of documents: each written whole, so that what is there needs no second pass.

vectors-00000.npy ...   (rows, D) float32 unit vectors, in document order
embeddings.json         documents, width, rows of a shard, the identities of embedder and corpus; written last
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash, read_json, write_array, write_json
from sbp_bayes.pairing.sentence_models import find_sentence_model

if TYPE_CHECKING:
    from sbp_bayes.pairing.sentence_models import SentenceEncoder

SHARD = 2048  # documents: a minute or less of MiniLM on a core, which is what a killed process loses
DESCRIPTION = "embeddings.json"


@dataclass(frozen=True)
class Embeddings:
    """Embeddings that are complete; `open_embeddings` makes one."""

    folder: Path
    description: dict

    @property
    def shards(self) -> list[Path]:
        """The shards' files in document order."""
        return _shard_files(self.folder, self.description["documents"], self.description["shard"])

    def vectors(self) -> np.ndarray:
        """All vectors: (N, D) float32 in memory. UserError for a damaged shard."""
        return np.concatenate([_load(file) for file in self.shards])


def open_embeddings(folder: Path, corpus: Corpus | None = None) -> Embeddings:
    """Open embeddings that were written whole. UserError: none there, a shard missing, or those of another corpus."""
    found = Embeddings(folder, read_json(folder / DESCRIPTION))
    if missing := [file for file in found.shards if not file.exists()]:
        raise UserError(f"{missing[0]}: missing from the embeddings")
    if corpus is not None and found.description["corpus"] != corpus.fingerprint:
        raise UserError(f"{folder}: embeddings of another corpus than {corpus.folder}")
    return found


@dataclass(frozen=True)
class EmbedShard:
    """The task of embedding one shard of a corpus of text (`sbp_bayes.engines`); the encoder stays in memory.

    content: names the corpus's documents and the embedder's weights, so that others are another task.
    """

    corpus: Path
    file: Path
    first: int
    documents: int
    embedder: str
    dtype: str
    content: str
    device: str = "cpu"

    @property
    def name(self) -> str:
        return self.file.stem

    def __call__(self) -> None:
        opened = Corpus.open(self.corpus)
        texts = [opened.text(i) for i in range(self.first, self.first + self.documents)]
        vectors = encoder(self.embedder, self.dtype, self.device).encode(texts)
        write_array(self.file, vectors)


@cache
def encoder(embedder: str, dtype: str, device: str) -> "SentenceEncoder":
    """The sentence embedder in this process's memory, loaded once."""
    return find_sentence_model(embedder, dtype).load(device)


def embed_tasks(
    corpus: Corpus, folder: Path, embedder: str, dtype: str = "auto", device: str = "cpu", shard: int = SHARD
) -> list[EmbedShard]:
    """One task for each ``shard`` documents of ``corpus``, writing into ``folder``; `finish_embeddings` ends them.

    UserError: a corpus without text, or an embedder that can't be had.
    """
    if not corpus.has_text:
        raise UserError(f'{corpus.folder}: has tokens only, and pairing.embedder = "{embedder}" reads text')
    model = find_sentence_model(embedder, dtype)
    how = (embedder, model.dtype, content_hash([corpus.fingerprint, model.identity()]), device)
    return [
        EmbedShard(corpus.folder, file, i * shard, min(shard, len(corpus) - i * shard), *how)
        for i, file in enumerate(_shard_files(folder, len(corpus), shard))
    ]


def finish_embeddings(folder: Path, corpus: Corpus, tasks: list[EmbedShard]) -> Embeddings:
    """Describe the shards that ``tasks`` have written in ``folder``."""
    width = np.load(tasks[0].file, mmap_mode="r").shape[1]
    model = find_sentence_model(tasks[0].embedder, tasks[0].dtype)
    counts = {"documents": len(corpus), "width": width, "shard": tasks[0].documents}
    about = {"embedder": model.identity(), "corpus": corpus.fingerprint, "content": tasks[0].content}
    write_json(folder / DESCRIPTION, {**counts, **about})
    return open_embeddings(folder, corpus)


def _shard_files(folder: Path, documents: int, shard: int) -> list[Path]:
    return [folder / f"vectors-{i:05d}.npy" for i in range(-(-documents // shard))]


def _load(file: Path) -> np.ndarray:
    try:
        return np.load(file)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{file}: damaged ({error}); delete {file.parent} and give the command again") from error
