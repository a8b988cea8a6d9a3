"""The stage of synthesis: by the own sampler, and by a server of the synthesizer that it exports."""

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import experiment_from
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.plan import plan_seed
from sbp_bayes.seeds import generator
from sbp_bayes.stages.corpus import build_corpus
from sbp_bayes.stages.synthesis import synthesize
from sbp_bayes.synthesis.finished_prompts import FILE
from sbp_bayes.training.checkpoint import BEST, save_model

SIZES = {"real": 12, "validation": 4, "heldout": 4, "oracle": 16}


def stage_with(**synthesis):
    world = {"world": {"name": "bow", "preset": "medium"}}
    tables = {"model": {"size": "0.03M"}, "arms": {"names": ["sbp"]}}
    synthesis = {"per_document": 3, "copied_shingle": 4, **synthesis}
    table = {"name": "x", "corpus": {**SIZES, **world}, "synthesis": synthesis, **tables}
    return plan_seed(experiment_from(table), 0)


@pytest.fixture
def inputs(tmp_path):
    """A corpus and an untrained synthesizer, as their stages leave them."""
    folders = {name: tmp_path / name for name in ("corpus", "synthesizer")}
    for folder in folders.values():
        folder.mkdir()
    build_corpus(stage_with().corpus, {}, folders["corpus"], "cpu")
    tokenizer = load_tokenizer(folders["corpus"] / "tokenizer")
    model = Transformer(model_config("0.03M", tokenizer.vocabulary_size)).init(generator("untrained"))
    save_model(model, folders["synthesizer"] / BEST, tokenizer.fingerprint)
    return folders


def run(stage, inputs, out):
    out.mkdir(exist_ok=True)
    return synthesize(stage, inputs, out, "cpu")


def written(out, inputs):
    corpus = Corpus.open(out / "corpus", load_tokenizer(inputs["corpus"] / "tokenizer"))
    rejected = pq.read_table(out / "rejected.parquet")
    assert len(corpus) + rejected.num_rows == 12 * 3
    assert set(rejected["reason"].to_pylist()) <= {"copies the seed document"}
    return [corpus.document(i).tolist() for i in range(len(corpus))]


def test_a_served_synthesizer_writes_what_the_stage_needs(inputs, tmp_path, serve_folder):
    own = run(stage_with().synthetic["sbp"], inputs, tmp_path / "own")
    out, place = tmp_path / "served", {"engine": "endpoint", "endpoint": "http://localhost:1"}
    with pytest.raises(
        UserError, match=r"seed 0: synthesis sbp: .*no answer.* to serve .* is (\S+served-model);"
    ) as raised:
        run(stage_with(**place).synthetic["sbp"], inputs, out)
    folder = Path(re.search(r"is (\S+);", str(raised.value))[1])
    (out / ".corpus.left").mkdir()  # what a kill leaves
    place["endpoint"] = serve_folder(folder).url
    entries = run(stage_with(**place).synthetic["sbp"], inputs, out)
    assert {path.name for path in out.iterdir()} == {"corpus", "rejected.parquet", FILE}
    # The own sampler also reads the last token, for the probability of the end.
    assert [(entry.kind, entry.tokens) for entry in own] == [("prefill", 36 * 18), ("decoding", 36 * 16)]
    assert [(entry.kind, entry.tokens) for entry in entries] == [("prefill", 36 * 18), ("decoding", 36 * 15)]
    by_sampler, by_server = written(tmp_path / "own", inputs), written(out, inputs)
    assert {len(document) for document in by_server} == {len(document) for document in by_sampler} == {16}
    assert np.unique(np.concatenate(by_server)).size > 10 and by_server != by_sampler


def test_where_a_server_is_does_not_name_a_stage():
    own, served = stage_with(), stage_with(engine="endpoint")
    elsewhere = stage_with(engine="endpoint", endpoint="http://other:1", served_model="other", concurrency=2)
    assert own.synthetic["sbp"].key != served.synthetic["sbp"].key == elsewhere.synthetic["sbp"].key
    assert stage_with(endpoint="http://other:1").evaluation.key == own.evaluation.key
