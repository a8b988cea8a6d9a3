"""How likely documents are under a model that never saw them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.quality.embedding import corpus_of
from analysis.quality.estimate import Estimate, ratio
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.documents.tokenizer import Tokenizer

if TYPE_CHECKING:
    from sbp_bayes.model.transformer import Transformer


def nats_per_token(
    model: "Transformer", tokenizer: Tokenizer, texts: Sequence[str], groups: np.ndarray | None = None
) -> Estimate:
    """-log p of texts in nats a token, their ends counted: the logarithm of the perplexity.

    Texts are tokenized anew. Cost: one forward pass over the tokens.
    """
    from sbp_bayes.training.objective import evaluate

    with tempfile.TemporaryDirectory() as folder:
        sequences = DocumentSequences(corpus_of(Path(folder) / "corpus", texts, tokenizer), tokenizer)
        nats = evaluate(model, Packed(sequences, int(sequences.lengths.max()), seed=0)).documents
        return ratio(nats, sequences.lengths, groups)
