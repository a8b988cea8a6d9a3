"""`sbp pairs` on a corpus folder with headwords, by embedders that need no extra; by MiniLM where it is there."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from prepared_text import cleaned

from sbp_bayes.cli import main
from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.text_source import TextSource
from sbp_bayes.documents.tokenizer import BpeTokenizer
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.corpus_pairs import part_of
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.pairing.statistics import concept_codes
from sbp_bayes.training.checkpoint import BEST, save_model

WORDNET = Path(__file__).parents[2] / "data" / "wordnet"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    options = {"path": str(WORDNET), "concept_column": "headword", "id_column": "id"}
    real = cleaned(TextSource.from_options(options, 0), SplitSizes(200, 2, 2, 200)).splits["real"]
    tokenizer = BpeTokenizer.train(real["text"].to_pylist(), 300)
    tokenizer.save(folder / "tokenizer")
    return write_corpus(folder / "real", [real], tokenizer)


@pytest.fixture
def base(corpus, tmp_path):
    tokenizer = BpeTokenizer.train(Corpus.open(corpus.folder).column("text").to_pylist(), 300)
    model = Transformer(model_config("0.1M", tokenizer.vocabulary_size)).init(torch.Generator().manual_seed(0))
    save_model(model, tmp_path / "base" / BEST, tokenizer.fingerprint)
    return tmp_path / "base"


def sbp_pairs(corpus, out, *options):
    return main(["pairs", str(corpus.folder), "--out", str(out), *map(str, options)])


def test_two_embedders_are_compared_in_a_table_and_a_picture(corpus, base, tmp_path, capsys):
    out = tmp_path / "out"
    options = ("--embedder", "tfidf", "base-model", "--base", base, "--set", "alpha=0.2", "--set", "top_k=5")
    assert sbp_pairs(corpus, out, *options) == 0
    said = capsys.readouterr().out
    assert "pairs of 200 documents, neighbours exact" in said
    assert "share their concept (0.5 % by chance); 100.0 % of documents have another of theirs" in said
    assert (out / "precision-against-alpha.svg").stat().st_size > 5000
    rows = list(csv.DictReader((out / "precision-against-alpha.csv").read_text().splitlines()))
    assert [row["embedder"] for row in rows] == ["tfidf"] * 41 + ["base-model"] * 41
    tfidf = load_pairs(out / "tfidf")
    assert tfidf.table.num_rows <= 5 * 200
    at = {row["alpha"]: row for row in rows[:41]}
    assert float(at["0.2"]["precision"]) == pytest.approx(tfidf.statistics["by_alpha"][24]["precision"])
    assert tfidf.statistics["precision"] > 0.3
    assert len(load_pairs(out / "base-model").statistics["embedder"]["weights"]) == 64

    moved = out / "tfidf-again"
    (out / "tfidf").rename(moved)
    assert main(["pairs", "--compare", str(moved), str(out / "base-model"), "--out", str(tmp_path / "picture")]) == 0
    assert (tmp_path / "picture" / "precision-against-alpha.csv").read_text().splitlines()[1].startswith("tfidf,-1.0,")


def test_a_part_has_whole_concepts_and_is_the_same_again(corpus, tmp_path, capsys):
    rows = part_of(corpus, 51, 0)
    assert 48 <= rows.size <= 51
    assert (rows == part_of(corpus, 51, 0)).all()
    assert not np.array_equal(rows, part_of(corpus, 51, 1))
    concepts = concept_codes(corpus)
    assert not np.isin(np.delete(concepts, rows), concepts[rows]).any()
    for _ in range(2):
        assert sbp_pairs(corpus, tmp_path / "out", "--documents", 51, "--set", "alpha=0.1") == 0
    part = Corpus.open(tmp_path / "out" / "corpus")
    assert part.doc_ids == [corpus.doc_ids[i] for i in rows]
    assert all((part.document(i) == corpus.document(int(row))).all() for i, row in enumerate(rows))
    assert load_pairs(tmp_path / "out" / "tfidf").statistics["documents"] == rows.size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "alfa=1"], "pairing.alfa: unknown key; did you mean pairing.alpha?"),
        (["--set", "alpha=2"], "pairing.alpha = 2.0: expected at most 1"),
        (["--embedder", "base-model"], "--embedder base-model: needs --base"),
        (["--embedder", "glove"], "--embedder glove: expected tfidf, base-model, minilm or"),
        (["--join", "100"], "--join 100: of a sentence embedder's vectors only, not of tfidf"),
        (["--documents", "-1"], "--documents -1: expected 0 or more"),
        (["--documents", "1"], "--documents 1: concepts stay whole, and the first has 2 documents"),
    ],
)
def test_bad_options_get_one_line(corpus, tmp_path, capsys, options, message):
    assert sbp_pairs(corpus, tmp_path / "out", *options) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_nothing_to_pair_gets_one_line(tmp_path, capsys):
    assert main(["pairs", "--out", str(tmp_path)]) == 2
    assert main(["pairs", str(tmp_path)]) == 2
    assert main(["pairs", "--compare", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in errors] == ["sbp"] * 3
    assert "expected a corpus folder, or --compare" in errors[0]
    assert "corpus.json is missing" in errors[1]
    assert "pairs.json: not found" in errors[2]


@pytest.mark.parametrize("content", [b'{"half": ', b"\xff"])
def test_damaged_pairs_to_compare_are_named_with_what_writes_them(tmp_path, capsys, content):
    (tmp_path / "pairs.json").write_bytes(content)
    assert main(["pairs", "--compare", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"sbp: {tmp_path}/pairs.json: damaged") and "sbp pairs writes it again" in said
    assert "sbp run" not in said and said.count("\n") == 1


@pytest.mark.extras
def test_minilm_finds_headwords_and_the_join_finds_the_same(corpus, tmp_path):
    options = ("--embedder", "minilm", "--set", "alpha=0.5", "--workers", 1)
    assert sbp_pairs(corpus, tmp_path / "whole", *options) == 0
    assert sbp_pairs(corpus, tmp_path / "joined", *options, "--join", 64) == 0
    whole, joined = (load_pairs(tmp_path / name / "minilm") for name in ("whole", "joined"))
    d1, d2 = ({(row["d1"], row["d2"]) for row in found.table.to_pylist()} for found in (whole, joined))
    assert len(d1 & d2) > 0.99 * len(d1)  # batches of other sizes round otherwise, in bfloat16
    assert joined.statistics["search"] == {"method": "join of 4 shards, exact", "k": 20}
    assert whole.statistics["precision"] > 0.5
    assert whole.statistics["embedder"]["dtype"] in ("float32", "bfloat16")
