import dataclasses
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sbp_bayes.documents import spill
from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.documents.token_limits import within_limits
from sbp_bayes.documents.tokenizer import BpeTokenizer, load_tokenizer
from sbp_bayes.documents.tokenizer_choice import TokenizerSettings, make_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import experiment_from
from sbp_bayes.files import file_hash, read_json
from sbp_bayes.plan import plan_seed
from sbp_bayes.stages.corpus import build_corpus

SIZES = {"real": 20, "validation": 6, "heldout": 6, "oracle": 30}


@pytest.fixture
def texts(tmp_path):
    """60 documents of 20 topics."""
    folder = tmp_path / "texts"
    folder.mkdir()
    rows = [{"text": f"a text about topic{i % 20} with number{i} in it", "topic": f"t{i % 20}"} for i in range(60)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def built(tmp_path, texts, corpus=None, text=None, **tables):
    """The folder of a corpus stage; corpus, text: keys of [corpus] and [corpus.text]."""
    table = {"name": "x", "corpus": {**SIZES, "text": {"path": str(texts), **(text or {})}, **(corpus or {})}, **tables}
    stage = plan_seed(experiment_from(table), 0).corpus
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    out.mkdir()
    build_corpus(stage, {}, out, "cpu")
    return out


def test_a_corpus_of_text_has_its_counts_its_list_of_the_dropped_and_nothing_else(tmp_path, texts):
    with (texts / "a.jsonl").open("a") as file:
        file.write('{"text": "", "topic": "t1"}\nnot JSON\n')
    with pytest.raises(UserError, match=r"a\.jsonl: line 62 is not JSON"):
        built(tmp_path, texts)
    out = built(tmp_path, texts, {"clean": {"on_bad": "skip"}})
    names = {"tokenizer", "source.json", "dropped.parquet", *SPLITS}
    assert {file.name for file in out.iterdir()} == names
    reasons = pq.read_table(out / "dropped.parquet")["reason"].to_pylist()
    assert sorted(reasons) == ["empty", "unreadable"]
    cleaning = read_json(out / "source.json")["cleaning"]
    assert cleaning["settings"]["on_bad"] == "skip"
    assert cleaning["documents"] == {
        "documents or parts read": 61,
        "unreadable": 1,
        "empty": 1,
        "groups": 60,
        "usable": 60,
    }
    assert {name: split["documents"] for name, split in cleaning["splits"].items()} == SIZES
    assert cleaning["splits"]["real"]["tokens"] == int(Corpus.open(out / "real").lengths.sum())


def test_concepts_are_latents_that_can_be_hidden(tmp_path, texts):
    corpus = Corpus.open(built(tmp_path, texts, text={"concept_column": "topic"}) / "real")
    assert corpus.latents()["concept"].to_pylist() == corpus.column("concept").to_pylist()
    hidden = built(tmp_path, texts, {"hide_latents": True}, {"concept_column": "topic"})
    assert Corpus.open(hidden / "real").latents() is None
    assert Corpus.open(built(tmp_path, texts) / "real").latents() is None


def test_splits_may_be_by_document_though_concepts_are_known(tmp_path, texts):
    def concepts(**corpus):
        out = built(tmp_path, texts, corpus, {"concept_column": "topic"})
        return {name: set(Corpus.open(out / name).column("concept").to_pylist()) for name in SPLITS}

    by_concept, by_document = concepts(split_by="concept"), concepts(split_by="document")
    assert by_concept == concepts()
    assert not by_concept["heldout"] & by_concept["oracle"]
    assert by_document["heldout"] & by_document["oracle"]
    with pytest.raises(UserError, match="the documents have no concepts"):
        built(tmp_path, texts, {"split_by": "concept"})


def test_shards_change_nothing_but_the_files(tmp_path, texts, monkeypatch):
    whole = built(tmp_path, texts)
    monkeypatch.setattr(spill, "SHARD_CHARACTERS", 200)
    monkeypatch.setattr(spill, "BATCH_ROWS", 7)
    parts = built(tmp_path, texts)
    for name in SPLITS:
        one, many = Corpus.open(whole / name), Corpus.open(parts / name)
        assert len(many.description["shards"]) > len(one.description["shards"]) == 1
        assert many.column("text").to_pylist() == one.column("text").to_pylist()
        assert many.tokens.tolist() == one.tokens.tolist()
    assert load_tokenizer(parts / "tokenizer").fingerprint == load_tokenizer(whole / "tokenizer").fingerprint


@pytest.mark.parametrize("rule", ["split", "drop", "refuse"])
def test_limits_of_tokens(tmp_path, texts, rule):
    with (texts / "a.jsonl").open("a") as file:
        for i in range(3):
            words = " ".join(f"{i}{k}" for k in range(300))
            file.write(json.dumps({"text": words, "topic": f"t{i}"}) + "\n")
        file.write('{"text": "x", "topic": "t0"}\n')
    corpus = {"real": 42, "validation": 6, "heldout": 6, "oracle": 52}
    corpus["clean"] = {"max_tokens": 100, "min_tokens": 2, "long_documents": rule}
    if rule == "refuse":
        with pytest.raises(UserError, match=r"a\.jsonl#6\d: .* tokens, corpus\.clean\.max_tokens allows 100"):
            built(tmp_path, texts, corpus, tokenizer={"kind": "bytes"})
        return
    out = built(tmp_path, texts, corpus, tokenizer={"kind": "bytes"})
    splits = {name: Corpus.open(out / name) for name in SPLITS}
    assert all(corpus.lengths.min() >= 2 and corpus.lengths.max() <= 100 for corpus in splits.values())
    dropped = pq.read_table(out / "dropped.parquet").to_pylist()
    long = {row["doc_id"] for row in dropped if row["reason"] == "too many tokens"}
    assert {row["doc_id"] for row in dropped if row["reason"] == "too few tokens"} == {"a.jsonl#63"}
    assert long == ({f"a.jsonl#{i}" for i in (60, 61, 62)} if rule == "drop" else set())
    if rule == "split":
        everything = [(i, c.text(k)) for c in splits.values() for k, i in enumerate(c.doc_ids)]
        parts = {(i, text) for i, text in everything if i.startswith("a.jsonl#60~")}
        ordered = sorted(parts, key=lambda part: int(part[0].partition("~")[2]))
        assert " ".join(text for _, text in ordered) == " ".join(f"0{k}" for k in range(300))


def test_parts_keep_the_limit_where_tokens_are_spread_unevenly():
    table = pa.table({"doc_id": ["d"], "text": ["a" * 90 + "☕" * 60 + " " + "b" * 90]})
    clean = CleanSettings(max_tokens=50, long_documents="split")
    parts = within_limits(table, BpeTokenizer.train((), 256), clean, "real", None)
    texts = parts["text"].to_pylist()
    assert max(len(text.encode()) for text in texts) <= 50
    assert "".join(texts) == table["text"][0].as_py().replace(" ", "")
    assert parts["doc_id"].to_pylist() == [f"d~{i}" for i in range(len(texts))]


def test_a_world_is_not_cleaned(tmp_path):
    table = {"name": "x", "corpus": {"world": {"name": "bow"}, "clean": {"min_tokens": 3}}}
    stage = plan_seed(experiment_from(table), 0).corpus
    with pytest.raises(UserError, match=r"corpus\.clean and .* not for \[corpus\.world\]"):
        build_corpus(stage, {}, tmp_path, "cpu")


def test_bytes_as_tokens(tmp_path, texts):
    out = built(tmp_path, texts, tokenizer={"kind": "bytes"})
    tokenizer, corpus = load_tokenizer(out / "tokenizer"), Corpus.open(out / "real")
    assert tokenizer.symbols == 256
    assert corpus.lengths.tolist() == [len(text.encode()) for text in corpus.column("text").to_pylist()]


def test_any_tokenizer_json(tmp_path, texts):
    BpeTokenizer.train(["a text about topics"] * 3, 300).save(tmp_path / "mine")
    path = tmp_path / "mine" / "tokenizer.json"
    table = {"kind": "file", "path": str(path)}
    out = built(tmp_path, texts, tokenizer=table)
    assert load_tokenizer(out / "tokenizer").fingerprint == load_tokenizer(path).fingerprint
    pinned = experiment_from({"name": "x", "corpus": {"path": str(texts)}, "tokenizer": table})
    assert pinned.tokenizer.sha256 == file_hash(path)
    BpeTokenizer.train(["another"], 300).save(tmp_path / "mine")
    changed = experiment_from({"name": "x", "corpus": {"path": str(texts)}, "tokenizer": table})
    assert plan_seed(changed, 0).corpus.key != plan_seed(pinned, 0).corpus.key
    with pytest.raises(UserError, match=r"tokenizer\.json: has SHA-256 \w+, tokenizer\.sha256 is"):
        experiment_from(dataclasses.asdict(pinned))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"path": "x"}, r'tokenizer\.path = "x": is read with tokenizer\.kind = "file" only'),
        ({"kind": "file"}, r'tokenizer\.path = "": expected a tokenizer\.json'),
        ({"kind": "file", "path": "no/such.json"}, r'tokenizer\.path = "no/such\.json": expected a tokenizer\.json'),
        ({"kind": "words"}, r'tokenizer\.kind = "words": expected one of bpe, bytes, file'),
    ],
)
def test_wrong_tokenizer_keys_are_named(texts, table, message):
    with pytest.raises(UserError, match=message):
        experiment_from({"name": "x", "corpus": {"path": str(texts)}, "tokenizer": table})


@pytest.mark.parametrize(("megabytes", "documents"), [(1, 50), (0, 60)])
def test_a_bpe_may_be_trained_on_a_sample(megabytes, documents):
    read = []
    texts = (read.append(i) or "xyz " * 5000 for i in range(60))
    make_tokenizer(TokenizerSettings(sample_mb=megabytes), texts)
    assert len(read) == documents


def test_keys_that_stand_at_their_default_do_not_name_a_stage(texts):
    plain = {"name": "x", "corpus": {"path": str(texts)}}
    spelt = {"path": str(texts), "clean": {"near_duplicates": 0.0, "on_bad": "stop"}, "split_by": "auto"}
    other = {"path": str(texts), "clean": {"near_duplicates": 0.8}}
    keys = [
        plan_seed(experiment_from({"name": "x", "corpus": corpus}), 0).corpus.key
        for corpus in (plain["corpus"], spelt, other)
    ]
    assert keys[0] == keys[1] != keys[2]
    assert not {"clean", "split_by"} & plan_seed(experiment_from(plain), 0).corpus.identity["corpus"].keys()
    with pytest.raises(UserError, match=r'corpus\.clean\.languages: unknown language "xx"; there are da, de'):
        experiment_from({"name": "x", "corpus": {"path": str(texts), "clean": {"languages": ["xx"]}}})
    with pytest.raises(UserError, match=r"corpus\.clean\.min_token: unknown key; did you mean"):
        experiment_from({"name": "x", "corpus": {"path": str(texts), "clean": {"min_token": 3}}})
