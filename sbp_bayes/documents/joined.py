"""Documents that follow one another in a context, as in-context pretraining has them (Shi et al. 2023, 2310.10638)."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sbp_bayes.files import content_hash

if TYPE_CHECKING:
    from sbp_bayes.documents.corpus import Corpus
    from sbp_bayes.documents.tokenizer import Tokenizer


class JoinedSequences:
    """``[bos] a [eos] [bos] b [eos]`` and so on for each group of document numbers; each document sees those before it.

    Every target counts but the bos between two documents, which no single document has.
    """

    def __init__(self, corpus: "Corpus", groups: Sequence[np.ndarray], tokenizer: "Tokenizer"):
        self.corpus, self.groups, self.tokenizer = corpus, groups, tokenizer
        documents = np.asarray(corpus.lengths, dtype=np.int64)
        self.lengths = np.array([documents[group].sum() + 2 * len(group) - 1 for group in groups], dtype=np.int64)
        ends = np.cumsum([len(group) for group in groups])
        content = hashlib.sha256(np.concatenate([*groups, ends]).astype(np.int64)).hexdigest()
        self.fingerprint = content_hash(["joined", corpus.fingerprint, content])

    def __len__(self) -> int:
        return len(self.groups)

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """tokens (n + 1,) int64 and weights (n,) float32 of the n targets."""
        special = self.tokenizer
        parts = [([special.bos], self.corpus.document(int(d)), [special.eos]) for d in self.groups[i]]
        tokens = np.concatenate([piece for part in parts for piece in part]).astype(np.int64)
        return tokens, (tokens[1:] != special.bos).astype(np.float32)

    def name(self, i: int) -> str:
        """How a message calls the sequence."""
        return f"joined documents {', '.join(self.corpus.doc_ids[int(d)] for d in self.groups[i])}"
