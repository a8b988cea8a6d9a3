import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from sbp_bayes import stages
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import experiment_from
from sbp_bayes.graph import read_record, run_stage
from sbp_bayes.pairing import embeddings
from sbp_bayes.pairing.embeddings import embed_tasks, finish_embeddings, open_embeddings
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.pairing.sentence_models import SentenceModel
from sbp_bayes.plan import plan_seed
from sbp_bayes.stages import KINDS

TEXTS = [f"document {i}" for i in range(10)]


class LengthEncoder:
    """Embeds a text by its length and its last letter, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        return np.array([[len(text), ord(text[-1])] for text in texts], dtype=np.float32)


@pytest.fixture
def encoder(monkeypatch, tmp_path):
    found = SentenceModel("minilm", tmp_path, {"model.safetensors": "0" * 64}, "0" * 16, "float32")
    monkeypatch.setattr(embeddings, "find_sentence_model", lambda embedder, dtype: found)
    encoder = LengthEncoder()
    monkeypatch.setattr(embeddings, "encoder", lambda embedder, dtype, device: encoder)
    return encoder


@pytest.fixture
def corpus(tmp_path):
    tables = [pa.table({"doc_id": TEXTS[:4], "text": TEXTS[:4]}), pa.table({"doc_id": TEXTS[4:], "text": TEXTS[4:]})]
    return write_corpus(tmp_path / "corpus", tables, BpeTokenizer.train((), 256))


def test_shards_hold_the_documents_in_order(corpus, encoder, tmp_path):
    out = tmp_path / "out"
    tasks = embed_tasks(corpus, out, "minilm", shard=3)
    assert [task.name for task in tasks] == [f"vectors-{i:05d}" for i in range(4)]
    for task in reversed(tasks):
        task()
    assert sorted(encoder.asked) == TEXTS
    found = finish_embeddings(out, corpus, tasks)
    assert (found.vectors() == LengthEncoder().encode(TEXTS)).all()
    assert [len(np.load(shard)) for shard in found.shards] == [3, 3, 3, 1]
    assert found.description["embedder"]["weights"] == {"model.safetensors": "0" * 64}
    assert open_embeddings(out, corpus).description == found.description


def test_a_damaged_shard_is_named(corpus, encoder, tmp_path):
    tasks = embed_tasks(corpus, tmp_path, "minilm", shard=3)
    for task in tasks:
        task()
    found = finish_embeddings(tmp_path, corpus, tasks)
    for left in (found.shards[1].read_bytes()[:-8], b""):
        found.shards[1].write_bytes(left)
        with pytest.raises(UserError, match=r"vectors-00001\.npy: damaged"):
            found.vectors()


def test_embeddings_that_do_not_belong_are_refused(corpus, encoder, tmp_path):
    out = tmp_path / "out"
    tasks = embed_tasks(corpus, out, "minilm", shard=4)
    with pytest.raises(UserError, match=r"embeddings\.json: not found"):
        open_embeddings(out)
    for task in tasks:
        task()
    found = finish_embeddings(out, corpus, tasks)
    other = write_corpus(tmp_path / "o", [pa.table({"doc_id": ["a"], "text": ["a"]})], BpeTokenizer.train((), 256))
    with pytest.raises(UserError, match="embeddings of another corpus"):
        open_embeddings(out, other)
    found.shards[1].unlink()
    with pytest.raises(UserError, match=r"vectors-00001\.npy: missing"):
        open_embeddings(out)
    tokens = pa.table({"doc_id": ["a"], "tokens": pa.array([[1]], pa.list_(pa.int32()))})
    with pytest.raises(UserError, match=r'has tokens only, and pairing\.embedder = "minilm" reads text'):
        embed_tasks(write_corpus(tmp_path / "tokens", [tokens], SymbolTokenizer(4)), out, "minilm")


@pytest.mark.extras
def test_the_stage_goes_on_where_it_was_killed_and_pairs_read_it(tmp_path, monkeypatch):
    lines = [f"{a} {b} {c}" for a in ("red", "green") for b in ("cup", "hill", "tea", "boat") for c in "abcdef"]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    sizes = {"real": 24, "validation": 4, "heldout": 4, "oracle": 24}
    tables = {
        "name": "x",
        "corpus": {**sizes, "text": {"path": str(tmp_path / "texts.jsonl")}},
        "pairing": {"rule": "similarity", "embedder": "minilm", "alpha": 0.5, "shingle": 0},
        "arms": {"names": ["sbp"]},
    }
    monkeypatch.setattr(stages.embeddings, "SHARD", 8)
    pairs = plan_seed(experiment_from(tables), 0).pairs["related"]
    stage = pairs.inputs["embeddings"]
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    for root in (undisturbed, killed):
        run_stage(pairs.inputs["corpus"], KINDS["corpus"], root, "cpu")
        if root is killed:
            partial = stage.folder(root).with_name(f"{stage.folder(root).name}.partial")
            partial.mkdir()
            shutil.copy(stage.folder(undisturbed) / "vectors-00001.npy", partial)
            shard = (partial / "vectors-00001.npy").stat().st_ino
        run_stage(stage, KINDS["embeddings"], root, "cpu")
    assert (stage.folder(killed) / "vectors-00001.npy").stat().st_ino == shard
    first, second = (read_record(stage, root) for root in (undisturbed, killed))
    assert first["files"] == second["files"]
    assert first["ledger"] == second["ledger"]
    assert first["ledger"][0]["tokens"] == 24 * (3 + 2)  # three words, [CLS] and [SEP]
    run_stage(pairs, KINDS["pairs"], killed, "cpu")
    scores = load_pairs(pairs.folder(killed)).table["score"].to_numpy()
    vectors = open_embeddings(stage.folder(killed)).vectors()
    assert scores.max() == pytest.approx(np.sort((vectors @ vectors.T)[~np.eye(24, dtype=bool)])[-1], abs=1e-6)
