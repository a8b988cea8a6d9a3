import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.corpus_writer import token_dtype
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.errors import UserError

TEXTS = ["a small cup", "", "ein Becher für Tee\n und mehr", "茶碗 ☕", "a cup"]


def token_table(tokens, first=0, **columns):
    ids = [f"d{first + i}" for i in range(len(tokens))]
    return pa.table({"doc_id": ids, "tokens": pa.array(tokens, pa.list_(pa.int32())), **columns})


def text_table(texts, first=0):
    return pa.table({"doc_id": [f"t{first + i}" for i in range(len(texts))], "text": texts})


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.lists(st.integers(0, 8), max_size=6), min_size=1, max_size=5), min_size=1, max_size=3))
def test_documents_come_back_across_shards(tmp_path_factory, shards):
    folder = tmp_path_factory.mktemp("corpus") / "c"
    flat = [document for shard in shards for document in shard]
    firsts = np.cumsum([0, *map(len, shards)])
    tables = (token_table(shard, first) for shard, first in zip(shards, firsts, strict=False))
    corpus = write_corpus(folder, tables, SymbolTokenizer(9))
    assert [corpus.document(i).tolist() for i in range(len(corpus))] == flat
    assert corpus.lengths.tolist() == [len(document) for document in flat]
    assert corpus.doc_ids == [f"d{i}" for i in range(len(flat))]
    assert corpus.document(0).dtype == np.int64
    corpus.verify()


def test_text_is_kept_and_encoded(tmp_path):
    tokenizer = BpeTokenizer.train(TEXTS, 260)
    corpus = write_corpus(tmp_path / "c", [text_table(TEXTS[:2]), text_table(TEXTS[2:], 2)], tokenizer)
    assert corpus.has_text
    assert [corpus.text(i) for i in (4, 0, 2, 1, 3)] == [TEXTS[i] for i in (4, 0, 2, 1, 3)]
    assert [tokenizer.decode(corpus.document(i)) for i in range(5)] == TEXTS
    assert [text for batch in corpus.batches("text", 2) for text in batch] == TEXTS


def test_tokens_beside_text_are_taken_as_they_are(tmp_path):
    tokenizer = BpeTokenizer.train(TEXTS, 260)
    table = token_table([[1, 2], [3]], text=["ab", "c"])
    corpus = write_corpus(tmp_path / "c", [table], tokenizer)
    assert corpus.document(0).tolist() == [1, 2]
    assert corpus.text(1) == "c"


def test_a_corpus_without_text_is_decoded_by_its_tokenizer(tmp_path):
    corpus = write_corpus(tmp_path / "c", [token_table([[3, 0]])], SymbolTokenizer(4))
    assert not corpus.has_text
    assert corpus.text(0, SymbolTokenizer(4)) == "3 0"
    with pytest.raises(UserError, match="takes the tokenizer"):
        corpus.text(0)


def test_token_dtype_holds_the_whole_vocabulary(tmp_path):
    assert token_dtype(1 << 16) == np.uint16
    assert token_dtype((1 << 16) + 1) == np.uint32
    corpus = write_corpus(tmp_path / "c", [token_table([[69_999]])], SymbolTokenizer(70_000))
    assert corpus.document(0).tolist() == [69_999]


def test_latents_lie_apart_and_may_be_taken_away(tmp_path):
    latents = pa.table({"concept": [5, 6]})
    corpus = write_corpus(tmp_path / "c", [token_table([[1], [2]])], SymbolTokenizer(4), [latents])
    assert "concept" not in corpus.columns
    assert corpus.latents().column("concept").to_pylist() == [5, 6]
    without = write_corpus(tmp_path / "w", [token_table([[1], [2]])], SymbolTokenizer(4))
    assert without.latents() is None
    assert without.fingerprint == corpus.fingerprint
    for file in (corpus.folder / "latents").iterdir():
        file.unlink()
    (corpus.folder / "latents").rmdir()
    assert Corpus.open(corpus.folder).latents() is None


def test_fingerprint_depends_on_documents_and_tokenizer(tmp_path):
    def fingerprint(name, tokens, symbols):
        return write_corpus(tmp_path / name, [token_table(tokens)], SymbolTokenizer(symbols)).fingerprint

    first = fingerprint("a", [[1, 2]], 4)
    assert fingerprint("b", [[1, 2]], 4) == first
    assert fingerprint("c", [[1, 3]], 4) != first
    assert fingerprint("d", [[1, 2]], 5) != first


def test_metadata_columns(tmp_path):
    corpus = write_corpus(tmp_path / "c", [token_table([[1], [2]], seed_doc=[7, 8])], SymbolTokenizer(4))
    assert corpus.column("seed_doc").to_pylist() == [7, 8]
    with pytest.raises(UserError, match="no column 'colour'"):
        corpus.column("colour")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "empty"),
        ([token_table([])], "empty"),
        ([token_table([[1]]), token_table([[2]])], "two documents have the doc_id 'd0'"),
        ([token_table([[4]])], r"outside 0\.\.3"),
        ([token_table([[-1]])], r"outside 0\.\.3"),
        ([token_table([[1]]), text_table(["x"])], "one shard has columns"),
        ([pa.table({"text": ["x"]})], "need doc_id"),
        ([token_table([[1], None])], "no tokens"),
    ],
)
def test_bad_documents_leave_nothing_behind(tmp_path, tables, message):
    with pytest.raises(UserError, match=message):
        write_corpus(tmp_path / "c", tables, SymbolTokenizer(4))
    assert list(tmp_path.iterdir()) == []


def test_latents_of_another_length_are_refused(tmp_path):
    with pytest.raises(UserError, match="1 rows of latents for 2 documents"):
        write_corpus(tmp_path / "c", [token_table([[1], [2]])], SymbolTokenizer(4), [pa.table({"concept": [5]})])


def test_an_interrupted_write_leaves_the_old_corpus(tmp_path):
    def broken():
        yield token_table([[2]])
        raise RuntimeError("interrupted")

    write_corpus(tmp_path / "c", [token_table([[1]])], SymbolTokenizer(4))
    with pytest.raises(RuntimeError):
        write_corpus(tmp_path / "c", broken(), SymbolTokenizer(4))
    assert Corpus.open(tmp_path / "c").document(0).tolist() == [1]
    write_corpus(tmp_path / "c", [token_table([[3]])], SymbolTokenizer(4))
    assert Corpus.open(tmp_path / "c").document(0).tolist() == [3]


def test_a_folder_of_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="no corpus; not overwritten"):
        write_corpus(tmp_path, [token_table([[1]])], SymbolTokenizer(4))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_opening_checks_what_is_there(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.json is missing"):
        Corpus.open(tmp_path / "nowhere")
    corpus = write_corpus(tmp_path / "c", [token_table([[1, 2], [3]])], SymbolTokenizer(4))
    with pytest.raises(UserError, match="made with tokenizer"):
        Corpus.open(corpus.folder, SymbolTokenizer(5))
    tokens = corpus.folder / "tokens.bin"
    content = tokens.read_bytes()
    tokens.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"tokens\.bin: truncated or changed \(5 bytes, 6 expected\)"):
        Corpus.open(corpus.folder)
    tokens.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(UserError, match=r"tokens\.bin: corrupt"):
        Corpus.open(corpus.folder).verify()
    tokens.unlink()
    with pytest.raises(UserError, match=r"tokens\.bin: missing"):
        Corpus.open(corpus.folder)


def test_a_corrupt_shard_is_named(tmp_path):
    corpus = write_corpus(tmp_path / "c", [text_table(["some text"] * 50)], BpeTokenizer.train(TEXTS, 260))
    shard = corpus.folder / "part-00000.parquet"
    shard.write_bytes(b"x" * shard.stat().st_size)
    for read in (lambda c: c.column("text"), lambda c: c.text(0), lambda c: list(c.batches("text"))):
        with pytest.raises(UserError, match=r"part-00000\.parquet: corrupt"):
            read(Corpus.open(corpus.folder))
