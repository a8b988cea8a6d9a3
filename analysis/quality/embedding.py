"""Texts as unit vectors, whose products are similarities: by TF-IDF, or by an embedder that pairing takes."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sbp_bayes import plugins
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.pairing.config import EMBEDDERS
from sbp_bayes.pairing.terms import WORD

TFIDF = "tfidf"
Embed = Callable[[Sequence[str]], Any]
"""Texts (N,) -> unit vectors (N, D), a dense array or a sparse matrix; an empty document's may be 0."""


def tfidf_embedder(batches: Iterable[list[str]]) -> Embed:
    """TF-IDF as pairing has it, with words and their frequencies from a corpus given as batches of texts, read once.

    A word that the corpus does not have is left out. Memory: the vocabulary.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=WORD.pattern, sublinear_tf=True, dtype=np.float32)
    return vectorizer.fit(text for texts in batches for text in texts).transform


def embedder_named(name: str, batches: Iterable[list[str]], source: dict, tokenizer: Tokenizer) -> Embed:
    """``tfidf``, a sentence embedder as `pairing.embedder` names it, or one registered under ``sbp_bayes.embedders``.

    batches: real texts, read for TF-IDF alone; source, tokenizer: what a registered embedder is given, with a corpus of
    the texts. UserError for a name that means none of these.
    """
    from sbp_bayes.pairing.embeddings import encoder
    from sbp_bayes.pairing.sentence_models import is_sentence_model

    if name == TFIDF:
        return tfidf_embedder(batches)
    if is_sentence_model(name):
        return encoder(name, "auto", "cpu").encode
    registered = plugins.load(EMBEDDERS, name)

    def embed(texts: Sequence[str]) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            return _unit(registered(source, corpus_of(Path(folder) / "corpus", texts, tokenizer)))

    return embed


def corpus_of(folder: Path, texts: Sequence[str], tokenizer: Tokenizer):
    """A corpus of texts, for what reads corpora."""
    import pyarrow as pa

    from sbp_bayes.documents.corpus import write_corpus

    table = pa.table({"doc_id": [str(i) for i in range(len(texts))], "text": pa.array(list(texts), pa.string())})
    return write_corpus(folder, [table], tokenizer)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
