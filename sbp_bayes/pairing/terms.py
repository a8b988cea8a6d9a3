"""Terms of documents: normalised words where a corpus has text, token ids where it has none.

TF-IDF and the near-duplicate filter both read documents as sequences of terms.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xxhash

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.offsets import offsets_of

WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Terms:
    """ids: terms of all documents one after another, int64; document i is ids[offsets[i]:offsets[i+1]];
    hashes: (K,) uint64, a hash of each term's content, equal in every corpus."""

    ids: np.ndarray
    offsets: np.ndarray
    hashes: np.ndarray

    @property
    def documents(self) -> int:
        return self.offsets.size - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


def document_terms(corpus: Corpus) -> Terms:
    """Lower-case runs of letters and digits as text has them, else tokens; one pass, memory O(tokens)."""
    return words_of(corpus.batches("text")) if corpus.has_text else _symbols(corpus)


def words_of(batches: Iterable[Iterable[str]]) -> Terms:
    """The words of texts that come in batches: lower-case runs of letters and digits, 2 million a second."""
    known: dict[str, int] = {}
    ids, lengths = [np.zeros(0, dtype=np.int64)], []
    for texts in batches:
        found = [WORD.findall(text.lower()) for text in texts]
        lengths += [len(words) for words in found]
        ids.append(np.array([known.setdefault(word, len(known)) for words in found for word in words], dtype=np.int64))
    hashes = np.array([xxhash.xxh64_intdigest(word.encode()) for word in known], dtype=np.uint64)
    return Terms(np.concatenate(ids), offsets_of(lengths), hashes)


def _symbols(corpus: Corpus) -> Terms:
    ids = corpus.tokens.astype(np.int64)
    hashes = [xxhash.xxh64_intdigest(i.to_bytes(8, "little")) for i in range(int(ids.max(initial=-1)) + 1)]
    return Terms(ids, np.array(corpus.offsets), np.array(hashes, dtype=np.uint64))
