"""Which tokenizer an experiment uses, from the keys of [tokenizer]: a BPE trained on D, bytes, or a tokenizer.json."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.config_key import key
from sbp_bayes.errors import UserError
from sbp_bayes.files import file_hash


@dataclass(frozen=True)
class TokenizerSettings:
    """How text becomes tokens. A world's documents are tokens already and ignore this."""

    vocabulary: int = key(2048, "size of the BPE vocabulary trained on D, special tokens not counted", 256)
    kind: str = key(
        "bpe",
        "bpe: trained on D; bytes: one token a byte; file: any tokenizer.json",
        among=("bpe", "bytes", "file"),
        added=True,
    )
    sample_mb: int = key(0, "megabytes of D that the BPE is trained on; 0: all of D", 0, added=True)
    path: str = key("", "the tokenizer.json, or the folder of a finished run's tokenizer, of kind file", added=True)
    sha256: str = key("", "of that tokenizer.json; filled in, and refused where it differs", added=True)


def with_pinned_file(settings: TokenizerSettings) -> TokenizerSettings:
    """The settings with the SHA-256 of their file, so that another content is another experiment.

    UserError: kind and path do not go together, no such file, or another content than ``sha256`` says.
    """
    if settings.kind != "file":
        if settings.path:
            raise UserError(f'tokenizer.path = "{settings.path}": is read with tokenizer.kind = "file" only')
        return settings
    file = _rules_file(settings)
    if not file.is_file():
        raise UserError(f'tokenizer.path = "{settings.path}": expected a tokenizer.json')
    found = file_hash(file)
    if settings.sha256 not in ("", found):
        raise UserError(f"{file}: has SHA-256 {found}, tokenizer.sha256 is {settings.sha256}")
    return dataclasses.replace(settings, sha256=found)


def _rules_file(settings: TokenizerSettings) -> Path:
    path = Path(settings.path).expanduser()
    return path / "tokenizer.json" if path.is_dir() else path


def make_tokenizer(settings: TokenizerSettings, texts: Iterable[str]):
    """The tokenizer of text; ``texts`` (D) are read by a BPE that is trained, and by no other."""
    from sbp_bayes.documents.tokenizer import BpeTokenizer, load_tokenizer

    if settings.kind == "bytes":
        return BpeTokenizer.train((), 256)
    if settings.kind == "file":
        return load_tokenizer(_rules_file(with_pinned_file(settings)))
    return BpeTokenizer.train(_first(texts, settings.sample_mb), settings.vocabulary)


def _first(texts: Iterable[str], megabytes: int) -> Iterator[str]:
    """The first ``megabytes`` of text; D comes in random order, so that they are a sample of it. 0: all."""
    read = 0
    for text in texts:
        yield text
        read += len(text.encode())
        if megabytes and read >= megabytes * 1_000_000:
            return
