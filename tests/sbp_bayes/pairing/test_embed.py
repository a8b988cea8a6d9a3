import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.embed import embed_hidden_states, tfidf, whitened
from sbp_bayes.pairing.terms import document_terms

TEXTS = ["A cup, a small cup.", "the cup of tea", "Tea! tea, TEA", "", "mountain"]


@pytest.fixture
def texts(tmp_path):
    table = pa.table({"doc_id": [str(i) for i in range(len(TEXTS))], "text": TEXTS})
    return write_corpus(tmp_path / "texts", [table], BpeTokenizer.train(TEXTS, 256))


def symbols(folder, documents, name="symbols"):
    table = pa.table(
        {"doc_id": [str(i) for i in range(len(documents))], "tokens": pa.array(documents, pa.list_(pa.int32()))}
    )
    return write_corpus(folder / name, [table], SymbolTokenizer(32))


def test_tfidf_agrees_with_scikit_learn(texts):
    ours = tfidf(document_terms(texts))
    theirs = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True).fit_transform(TEXTS)
    assert ours.dtype == np.float32
    np.testing.assert_allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), atol=1e-6)


def test_tfidf_of_tokens_reads_tokens_as_words(tmp_path):
    documents = [[3, 3, 5], [5, 7], [], [31]]
    ours = tfidf(document_terms(symbols(tmp_path, documents)))
    words = [" ".join(f"w{i}" for i in document) for document in documents]
    theirs = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True).fit_transform(words)
    np.testing.assert_allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), atol=1e-6)


def test_terms_ignore_case_and_punctuation_and_hash_content(texts):
    terms = document_terms(texts)
    assert terms.lengths.tolist() == [5, 4, 3, 0, 1]
    assert len(set(terms.ids[terms.offsets[2] : terms.offsets[3]])) == 1
    assert np.unique(terms.hashes).size == terms.hashes.size


def small_model():
    model = Transformer(model_config("0.1M", SymbolTokenizer(32).vocabulary_size))
    model.init(torch.Generator().manual_seed(0))
    return model


def test_hidden_state_embedding_is_the_mean_over_the_documents_tokens(tmp_path):
    documents = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [], [2, 1, 3]]
    corpus, tokenizer, model = symbols(tmp_path, documents), SymbolTokenizer(32), small_model()
    for batch_tokens in (1, 12, 1000):
        vectors = embed_hidden_states(model, corpus, tokenizer, batch_tokens=batch_tokens)
        assert vectors.dtype == np.float32
        for vector, document in zip(vectors, documents, strict=True):
            with torch.inference_mode():
                hidden = model.hidden(torch.tensor([[tokenizer.bos, *document]]))[0]
            mean = (hidden[1:] if document else hidden).mean(0)
            np.testing.assert_allclose(vector, torch.nn.functional.normalize(mean, dim=0), atol=1e-5)


def test_hidden_state_embedding_tells_the_order_of_tokens(tmp_path):
    corpus = symbols(tmp_path, [[1, 2, 3], [3, 2, 1]])
    first, second = embed_hidden_states(small_model(), corpus, SymbolTokenizer(32))
    assert np.abs(first - second).max() > 1e-3


def test_a_blocks_output_is_read_where_a_layer_is_asked_for(tmp_path):
    corpus, tokenizer, model = symbols(tmp_path, [[1, 2, 3], [4, 5]]), SymbolTokenizer(32), small_model()
    vectors = embed_hidden_states(model, corpus, tokenizer, layer=1)
    seen = []
    with torch.inference_mode(), model.layers[0].register_forward_hook(lambda *call: seen.append(call[-1])):
        model.hidden(torch.tensor([[tokenizer.bos, 1, 2, 3]]))
    mean = torch.nn.functional.normalize(seen[0][0, 1:], dim=-1).mean(0)
    np.testing.assert_allclose(vectors[0], torch.nn.functional.normalize(mean, dim=0), atol=1e-5)
    assert not model.layers[0]._forward_hooks
    with pytest.raises(UserError, match="2 blocks"):
        embed_hidden_states(model, corpus, tokenizer, layer=3)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_whitened_vectors_have_no_direction_that_stands_out(seed):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(400, 4)) @ np.diag([100, 10, 1, 0.1]) + 1000
    white = whitened(vectors)
    np.testing.assert_allclose(np.linalg.norm(white, axis=1), 1, atol=1e-5)
    deviations = np.linalg.svd(white, compute_uv=False)
    assert deviations.max() / deviations.min() < 1.5


def test_whitening_finds_what_a_common_direction_drowns():
    random = np.random.default_rng(0)
    concepts = np.repeat(np.arange(50), 2)
    signal = random.normal(size=(50, 8))[concepts] + 0.1 * random.normal(size=(100, 8))
    noise = 100 * random.normal(size=(100, 1))
    vectors = np.hstack([noise, signal]).astype(np.float32)

    def precision(vectors):
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -2)
        return (concepts[cosines.argmax(1)] == concepts).mean()

    assert precision(vectors) < 0.5 < precision(whitened(vectors))


def test_whitening_leaves_out_what_does_not_vary():
    vectors = np.array([[1, 0, 5], [0, 1, 5], [-1, 0, 5], [0, -1, 5]], dtype=np.float32)
    white = whitened(vectors)
    assert np.isfinite(white).all() and white.shape == (4, 3)
    np.testing.assert_allclose(white @ white.T, vectors[:, :2] @ vectors[:, :2].T, atol=1e-5)
