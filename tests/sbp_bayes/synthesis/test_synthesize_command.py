"""`sbp synthesize`: a corpus from an exported synthesizer, by each engine, and again after a kill."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from sbp_bayes.cli import main
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.model.hugging_face import export_model
from sbp_bayes.synthesis import from_export
from sbp_bayes.synthesis.sampler import sample


@pytest.fixture
def folders(make_model, make_corpus, random_documents, tokenizer, tmp_path):
    """An exported synthesizer and a corpus of 10 documents."""
    export_model(make_model(tied=False), tokenizer, tmp_path / "exported", context=32)
    return [str(tmp_path / "exported"), str(make_corpus(random_documents(10, 2, 6)).folder)]


def read(out, tokenizer):
    corpus = Corpus.open(out / "corpus", tokenizer)
    record = json.loads((out / "synthesis.json").read_text())
    rejected = pq.read_table(out / "rejected.parquet")
    assert record["documents"]["kept"] == len(corpus)
    assert sum(record["documents"].values()) == len(corpus) + rejected.num_rows
    assert record["documents"]["unfinished"] == rejected["reason"].to_pylist().count("unfinished")
    return [corpus.document(i).tolist() for i in range(len(corpus))], record


def test_the_own_sampler_writes_a_corpus_and_goes_on_after_a_kill(folders, tokenizer, tmp_path, monkeypatch, capsys):
    command = ["synthesize", *folders, "--per-document", "5", "--copied-shingle", "1"]
    monkeypatch.setattr(from_export, "PART", 7)
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    documents, record = read(tmp_path / "whole", tokenizer)
    assert f"{len(documents)} documents; rejected: " in capsys.readouterr().out
    assert 0 < len(documents) < 50 and record["documents"]["copies the seed document"] > 0
    calls = []

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return sample(*arguments)

    monkeypatch.setattr(from_export, "sample", dying)
    assert main([*command, "--out", str(tmp_path / "killed")]) == 130
    assert main([*command, "--out", str(tmp_path / "killed")]) == 0
    assert len(calls) == 4 + 5  # of 8 parts 3 were finished
    assert read(tmp_path / "killed", tokenizer)[0] == documents


def test_other_filters_and_batches_need_no_sampling(folders, tokenizer, tmp_path, monkeypatch):
    command = ["synthesize", *folders, "--out", str(tmp_path / "out"), "--per-document", "3"]
    assert main([*command, "--copied-shingle", "1"]) == 0
    few, _ = read(tmp_path / "out", tokenizer)
    monkeypatch.setattr(from_export, "sample", lambda *arguments: pytest.fail("sampled again"))
    assert main([*command, "--batch-size", "7"]) == 0
    assert len(read(tmp_path / "out", tokenizer)[0]) > len(few)


def test_a_served_synthesizer_writes_the_corpus(folders, tokenizer, tmp_path, serve_folder):
    server = serve_folder(tmp_path / "exported", name="synthesizer")
    place = ["--engine", "endpoint", "--endpoint", server.url, "--served-model", "synthesizer"]
    assert main(["synthesize", *folders, "--out", str(tmp_path / "out"), *place]) == 0
    documents, record = read(tmp_path / "out", tokenizer)
    assert record["settings"]["engine"] == "endpoint" and record["prefill_tokens"] > 20
    assert len(documents) > 2


def test_what_one_engine_began_another_does_not_go_on_with(folders, tmp_path, serve_folder, capsys):
    command = ["synthesize", *folders, "--out", str(tmp_path / "out"), "--per-document", "2"]
    assert main(command) == 0
    capsys.readouterr()
    server = serve_folder(tmp_path / "exported", name="synthesizer")
    assert main([*command, "--engine", "endpoint", "--endpoint", server.url]) == 2
    assert "finished.jsonl: belongs to another synthesis" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "endpoint", "--endpoint", "http://localhost:1"], "http://localhost:1/v1/models: no answer"),
        (["--per-document", "0"], "--per-document 0: expected at least 1"),
        (["--documents", "-3"], "--documents -3: expected at least 0"),
        (["--engine", "endpoint", "--concurrency", "0"], "--concurrency 0: expected at least 1"),
        (["--top-p", "0"], "sampling.top_p"),
        (["--device", "nowhere"], "--device nowhere: not usable here"),
    ],
)
def test_what_can_not_be_is_one_line(folders, tmp_path, capsys, options, message):
    assert main(["synthesize", *folders, "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sbp: ") and message in error and error.count("\n") == 1


def test_a_corpus_of_another_tokenizer_is_refused(folders, make_model, tmp_path, capsys):
    from sbp_bayes.documents.tokenizer import SymbolTokenizer

    export_model(make_model(), SymbolTokenizer(10), tmp_path / "other", context=32)
    assert main(["synthesize", str(tmp_path / "other"), folders[1], "--out", str(tmp_path / "out")]) == 2
    assert "made with tokenizer" in capsys.readouterr().err


@pytest.mark.extras
@pytest.mark.parametrize("server", ["sbp", "endpoint"])
@pytest.mark.filterwarnings("ignore")  # datatrove's and its libraries' own
def test_datatrove_starts_a_server_and_writes_the_corpus(folders, tokenizer, tmp_path, serve_folder, server):
    place = ["--engine", "datatrove", "--server", server, "--tasks", "2", "--per-document", "2"]
    if server == "endpoint":
        place += ["--endpoint", serve_folder(tmp_path / "exported").url]
    command = ["synthesize", *folders, "--out", str(tmp_path / "out"), *place]
    assert main(command) == 0
    documents, record = read(tmp_path / "out", tokenizer)
    assert sum(record["documents"].values()) == 20 and np.mean([len(document) for document in documents]) > 1
    (tmp_path / "out" / "synthesis.json").unlink()
    assert main(command) == 0  # all tasks are finished: their answers are read again
    assert read(tmp_path / "out", tokenizer)[0] == documents
