"""What a synthesizer goes on from."""

from collections.abc import Sequence

import numpy as np

from sbp_bayes.documents.tokenizer import Tokenizer


def prompt_of(documents: Sequence[np.ndarray], tokenizer: Tokenizer) -> np.ndarray:
    """``[bos] a [sep] b [sep]`` of one or several documents of token ids: (T,)."""
    pieces = [piece for document in documents for piece in (document, [tokenizer.sep])]
    return np.concatenate([[tokenizer.bos], *pieces])
