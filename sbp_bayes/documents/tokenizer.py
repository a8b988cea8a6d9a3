"""Tokenizers: text to token ids and back, with three special ids above the text's own.

Ids 0..symbols-1 stand for text (or for a world's symbols); bos, sep and eos follow, so that
``vocabulary_size = symbols + 3``. The specials are no part of any text: no string encodes to them.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, write_json, write_text

SPECIALS = 3
DESCRIPTION = "vocabulary.json"
RULES = "tokenizer.json"


class Tokenizer(ABC):
    """What the pipeline asks of a tokenizer.

    kind: its family; symbols: V, how many ids stand for text; fingerprint: 16 hexadecimal digits of its content,
    equal for two tokenizers exactly when they encode alike.
    """

    kind: str
    symbols: int
    fingerprint: str

    @property
    def vocabulary_size(self) -> int:
        return self.symbols + SPECIALS

    @property
    def bos(self) -> int:
        """Begins every sequence."""
        return self.symbols

    @property
    def sep(self) -> int:
        """Stands between d1 and d2 of a pair."""
        return self.symbols + 1

    @property
    def eos(self) -> int:
        """Ends every document; also pads batches, with weight 0."""
        return self.symbols + 2

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of each text, int32, without specials."""

    @abstractmethod
    def _decode(self, ids: list[int]) -> str: ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; specials are left out."""
        return self._decode([int(i) for i in ids if i < self.symbols])

    def save(self, folder: Path) -> None:
        """Write the tokenizer into ``folder``; `load_tokenizer` reads it back."""
        description = {"kind": self.kind, "symbols": self.symbols, "fingerprint": self.fingerprint}
        write_json(folder / DESCRIPTION, description)


class SymbolTokenizer(Tokenizer):
    """For corpora that come as token ids already: symbol 3 is written "3", a document "3 17 5"."""

    kind = "symbols"

    def __init__(self, symbols: int):
        if symbols < 1:
            raise UserError(f"a symbol tokenizer needs at least one symbol, not {symbols}")
        self.symbols = symbols
        self.fingerprint = hashlib.sha256(f"symbols:{symbols}".encode()).hexdigest()[:16]

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [self._parse(text) for text in texts]

    def _parse(self, text: str) -> np.ndarray:
        try:
            ids = np.array([int(word) for word in text.split()], dtype=np.int32)
        except ValueError as error:
            raise UserError(f"{text[:40]!r} is not a list of symbol numbers ({error})") from error
        if ids.size and not (ids.min() >= 0 and ids.max() < self.symbols):
            raise UserError(f"{text[:40]!r} has symbols outside 0..{self.symbols - 1}")
        return ids

    def _decode(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))


class BpeTokenizer(Tokenizer):
    """Rules of the ``tokenizers`` library: a byte-level BPE trained here, or any tokenizer.json.

    Trained here it covers every byte, so ``decode(encode(x)) == x`` for every string, whitespace included.
    """

    kind = "bpe"

    def __init__(self, rules: str):
        from tokenizers import Tokenizer as Rules

        self.rules = rules
        self._rules = Rules.from_str(rules)
        self._rules.no_truncation()
        self._rules.no_padding()
        # Ids may have holes in a foreign tokenizer.json, so the largest id decides.
        self.symbols = max(self._rules.get_vocab(with_added_tokens=True).values()) + 1
        self.fingerprint = hashlib.sha256(rules.encode()).hexdigest()[:16]

    @classmethod
    def train(cls, texts: Iterable[str], symbols: int) -> "BpeTokenizer":
        """A byte-level BPE of at most ``symbols`` ids, specials not counted.

        Deterministic in the texts; a small corpus may support fewer merges. UserError below 256, one id a byte.
        """
        from tokenizers import Tokenizer as Rules
        from tokenizers import decoders, models, pre_tokenizers, trainers

        if symbols < 256:
            raise UserError(f"a byte-level tokenizer needs at least 256 symbols, not {symbols}")
        rules = Rules(models.BPE())
        rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        rules.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=symbols,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[],
            show_progress=False,
        )
        rules.train_from_iterator(texts, trainer)
        return cls(rules.to_str())

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        encodings = self._rules.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def _decode(self, ids: list[int]) -> str:
        return self._rules.decode(ids, skip_special_tokens=False)

    def save(self, folder: Path) -> None:
        write_text(folder / RULES, self.rules)
        super().save(folder)


def _read_rules(path: Path) -> BpeTokenizer:
    try:
        return BpeTokenizer(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except Exception as error:  # the library raises bare Exception for a file that is no tokenizer
        raise UserError(f"{path}: not a tokenizer.json ({error})") from error


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer that was saved into a folder, or a tokenizer.json of the ``tokenizers`` library.

    UserError: missing, unreadable, or its content is not what the fingerprint beside it says.
    """
    if path.is_file():
        return _read_rules(path)
    description = read_json(path / DESCRIPTION)
    try:
        kind, symbols, fingerprint = (description[key] for key in ("kind", "symbols", "fingerprint"))
    except (KeyError, TypeError) as error:
        raise UserError(f"{path / DESCRIPTION}: not the description of a tokenizer ({error})") from error
    if kind == SymbolTokenizer.kind:
        tokenizer: Tokenizer = SymbolTokenizer(symbols)
    elif kind == BpeTokenizer.kind:
        tokenizer = _read_rules(path / RULES)
    else:
        raise UserError(f"{path / DESCRIPTION}: unknown kind {kind!r} (known: symbols, bpe)")
    if tokenizer.fingerprint != fingerprint:
        raise UserError(f"{path}: the tokenizer's content does not match its fingerprint {fingerprint}")
    return tokenizer
