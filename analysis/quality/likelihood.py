"""How likely documents are under a model that never saw them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.quality.estimate import Estimate, ratio
from sbp_bayes.documents.packing import Packed
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.files import content_hash

if TYPE_CHECKING:
    from sbp_bayes.model.transformer import Transformer

TOGETHER = 256  # documents of like length, so that no row is as long as the longest of all


class TextSequences:
    """``[bos] d [eos]`` for each text, as `sbp_bayes.documents.packing` packs them; every target counts."""

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer):
        ends = [tokenizer.bos], [tokenizer.eos]
        self.tokens = [np.concatenate([ends[0], ids, ends[1]]).astype(np.int64) for ids in tokenizer.encode(texts)]
        self.lengths = np.array([ids.size - 1 for ids in self.tokens], dtype=np.int64)
        self.fingerprint = content_hash([tokenizer.fingerprint, list(texts)])

    def __len__(self) -> int:
        return len(self.tokens)

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (L + 2,) of text ``i``, and the weights (L + 1,) of its targets."""
        return self.tokens[i], np.ones(self.lengths[i], dtype=np.float32)

    def name(self, i: int) -> str:
        """What to call text ``i``."""
        return f"text {i}"


def nats_per_token(
    model: "Transformer", tokenizer: Tokenizer, texts: Sequence[str], groups: np.ndarray | None = None
) -> Estimate:
    """-log p of texts in nats a token, their ends counted: the logarithm of the perplexity.

    Texts are tokenized anew. Cost: one forward pass over the tokens.
    """
    from sbp_bayes.training.objective import evaluate

    nats, targets = np.zeros(len(texts)), np.zeros(len(texts))
    order = np.argsort([len(text) for text in texts], kind="stable")
    for rows in np.split(order, range(TOGETHER, len(order), TOGETHER)):
        sequences = TextSequences([texts[i] for i in rows], tokenizer)
        nats[rows] = evaluate(model, Packed(sequences, int(sequences.lengths.max()), seed=0)).documents
        targets[rows] = sequences.lengths
    return ratio(nats, targets, groups)
