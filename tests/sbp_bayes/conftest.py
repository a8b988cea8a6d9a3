"""Small corpora and models that many tests share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.seeds import generator, numpy_generator

SYMBOLS = 11


@pytest.fixture(autouse=True)
def one_thread():
    """Two test processes share two cores; results must not depend on the number of threads either."""
    torch.set_num_threads(1)


@pytest.fixture
def tokenizer() -> SymbolTokenizer:
    return SymbolTokenizer(SYMBOLS)


@pytest.fixture
def make_corpus(tmp_path: Path, tokenizer: SymbolTokenizer) -> Callable[[Sequence[Sequence[int]]], Corpus]:
    """Writes documents (token ids) as a corpus and opens it."""

    def make(documents: Sequence[Sequence[int]]) -> Corpus:
        table = pa.table(
            {
                "doc_id": [f"d{i}" for i in range(len(documents))],
                "tokens": pa.array([list(map(int, d)) for d in documents], pa.list_(pa.int32())),
            }
        )
        return write_corpus(tmp_path / f"corpus{len(list(tmp_path.iterdir()))}", [table], tokenizer)

    return make


@pytest.fixture
def random_documents() -> Callable[..., list[np.ndarray]]:
    """``random_documents(n, shortest, longest)``: documents of random lengths and symbols, always the same."""

    def make(n: int, shortest: int, longest: int) -> list[np.ndarray]:
        rng = numpy_generator("test documents", n, shortest, longest)
        return [rng.integers(0, SYMBOLS, rng.integers(shortest, longest + 1)) for _ in range(n)]

    return make


@pytest.fixture
def make_model(tokenizer: SymbolTokenizer) -> Callable[..., Transformer]:
    """A model of a few thousand parameters with grouped queries, initialised; keywords change its shape."""

    def make(seed: int = 0, **shape) -> Transformer:
        defaults = dict(width=24, layers=2, heads=4, kv_heads=2, head_dim=8, hidden=40, tied=True)
        config = ModelConfig(vocabulary_size=tokenizer.vocabulary_size, **{**defaults, **shape})
        model = Transformer(config).init(generator("test model", seed))
        # Gains away from 1 and embeddings of size 1, so that a test can see them at work.
        with torch.no_grad():
            noise = generator("test gains", seed)
            for weight in model.parameters():
                if weight.dim() == 1:
                    weight.add_(0.3 * torch.randn(weight.shape, generator=noise))
            model.embed_tokens.weight.mul_(20)
        return model

    return make
