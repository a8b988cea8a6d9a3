import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.embed import embed_hidden_states, tfidf
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
