"""A corpus made file by file: what a pass over all files in one process would have made."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sbp_bayes.cli import main
from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.engines import corpus_build

FILES, ROWS = 4, 150
OPTIONS = ["--id-column", "id", "--concept-column", "topic", "--vocabulary", "300", "--min-characters", "9"]


@pytest.fixture
def texts(tmp_path) -> Path:
    """Files of documents, some copied within a file and some over files, some too short."""
    folder = tmp_path / "texts"
    for number in range(FILES):
        path = folder / str(number % 2) / f"{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = []
        for i in range(ROWS):
            key = i % 140 if i % 10 else i + 7 * number  # every tenth text may be another file's
            text = f"text {key if i % 10 == 0 else (number, key)} of some words" if i % 30 else "short"
            rows.append({"id": f"{number}-{i}", "text": text, "topic": f"t{i % 5}"})
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def expected(folder: Path) -> tuple[dict[str, str], dict[str, tuple[str, str | None]]]:
    """id -> text of what stays, and id -> (reason, twin) of what does not, by one loop over all."""
    first: dict[str, str] = {}
    kept, dropped = {}, {}
    for file in sorted(folder.rglob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if len(row["text"]) < 9:
                dropped[row["id"]] = ("too short", None)
            elif row["text"] in first:
                dropped[row["id"]] = ("exact copies", first[row["text"]])
            else:
                first[row["text"]] = row["id"]
                kept[row["id"]] = row["text"]
    return kept, dropped


def content(out: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in out.rglob("*") if f.is_file()}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_is_what_one_pass_would_make(tmp_path, texts, workers, capsys):
    out = tmp_path / "out"
    assert main(["corpus", str(texts), "--out", str(out), *OPTIONS, "--workers", workers]) == 0
    kept, dropped = expected(texts)
    corpus = Corpus.open(out, load_tokenizer(out / "tokenizer"))
    corpus.verify()
    assert dict(zip(corpus.doc_ids, corpus.column("text").to_pylist(), strict=True)) == kept
    rows = pq.read_table(out / "dropped.parquet").to_pylist()
    assert {row["doc_id"]: (row["reason"], row["kept"]) for row in rows} == dropped
    encoded = load_tokenizer(out / "tokenizer").encode(corpus.column("text").to_pylist())
    assert all((corpus.document(i) == ids).all() for i, ids in enumerate(encoded))
    assert f"{len(kept):,} documents" in capsys.readouterr().out
    assert not (tmp_path / "out.work").exists()


def test_a_finished_corpus_answers_and_a_changed_file_is_read_again(tmp_path, texts):
    command = ["corpus", str(texts), "--out", str(tmp_path / "out"), *OPTIONS, "--workers", "1"]
    assert main(command) == 0
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    assert main(command) == 0
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    with (texts / "0" / "0.jsonl").open("a") as file:
        file.write('{"id": "new", "text": "quite another text", "topic": "t"}\n')
    assert main([*command, "--replace"]) == 0
    assert "new" in Corpus.open(tmp_path / "out").doc_ids


def test_another_corpus_in_the_folder_is_replaced_only_where_asked(tmp_path, texts, capsys):
    out = tmp_path / "out"
    command = ["corpus", str(texts), "--out", str(out), *OPTIONS, "--workers", "1"]
    assert main(command) == 0
    (out / "notes.txt").write_text("mine")
    capsys.readouterr()
    for described in (True, False):
        if not described:
            (out / "source.json").unlink()  # a corpus that another command wrote
        before = content(out)
        assert main([*command, "--min-characters", "26"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"sbp: {out}: holds another corpus") and "--replace" in line
        assert content(out) == before
    assert main([*command, "--min-characters", "26", "--replace"]) == 0
    assert not (out / "notes.txt").exists()
    assert min(map(len, Corpus.open(out).column("text").to_pylist())) >= 26


def test_a_corpus_folder_is_read_without_what_lies_beside_its_documents(tmp_path, texts):
    assert main(["corpus", str(texts), "--out", str(tmp_path / "first"), *OPTIONS, "--workers", "1"]) == 0
    first = Corpus.open(tmp_path / "first")
    latents = [pa.table({"concept": [0] * len(first)})]
    table = pa.table({"doc_id": first.doc_ids, "text": first.column("text").to_pylist()})
    write_corpus(tmp_path / "first" / "again", [table], load_tokenizer(tmp_path / "first" / "tokenizer"), latents)
    for read, on_bad in (("first/again", "stop"), ("first", "skip")):  # "first" has every document twice
        command = ["corpus", str(tmp_path / read), "--out", str(tmp_path / "out"), "--workers", "1"]
        assert main([*command, "--id-column", "doc_id", "--on-bad", on_bad, "--replace"]) == 0
        assert Corpus.open(tmp_path / "out").doc_ids == first.doc_ids


def test_options_are_named_as_on_the_command_line(tmp_path, texts, capsys):
    command = ["corpus", str(texts), "--out", str(tmp_path / "out"), *OPTIONS, "--workers", "1"]
    for options, message in (
        (["--tokenizer", "nowhere"], "--tokenizer nowhere: expected a tokenizer.json"),
        (["--max-tokens", "2"], "tokens, --max-tokens allows 2 (--long-documents split or drop goes on)"),
    ):
        assert main([*command, *options]) == 2
        *others, last = capsys.readouterr().err.splitlines()
        assert message in last and not any(message in line for line in others)


def test_a_tokenizer_may_be_given(tmp_path, texts):
    command = ["corpus", str(texts), *OPTIONS, "--workers", "1"]
    assert main([*command, "--out", str(tmp_path / "a")]) == 0
    given = ["--tokenizer", str(tmp_path / "a" / "tokenizer")]
    assert main([*command, "--out", str(tmp_path / "b"), *given]) == 0
    assert (tmp_path / "b" / "tokens.bin").read_bytes() == (tmp_path / "a" / "tokens.bin").read_bytes()


def test_kills_change_nothing(tmp_path, texts):
    assert main(["corpus", str(texts), "--out", str(tmp_path / "whole"), *OPTIONS, "--workers", "1"]) == 0
    out = tmp_path / "out"
    command = [sys.executable, "-m", "sbp_bayes.cli", "corpus", str(texts), "--out", str(out), *OPTIONS]
    kills = 0
    for wanted in (1, 5):
        process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.DEVNULL, start_new_session=True)
        done = tmp_path / "out.work" / "finished"
        while process.poll() is None and len(list(done.glob("*.json"))) < wanted:
            time.sleep(0.001)
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert kills
    assert subprocess.run([*command, "--workers", "2"], capture_output=True).returncode == 0
    assert content(out) == content(tmp_path / "whole")


def test_a_kill_while_the_work_is_removed_does_not_mislead_the_next_call(tmp_path, texts, monkeypatch):
    command = ["corpus", str(texts), "--out", str(tmp_path / "out"), *OPTIONS, "--workers", "1"]
    remove = shutil.rmtree

    def dying(folder, ignore_errors=False):
        if (folder / "cleaned").exists():
            remove(folder / "cleaned")
            raise KeyboardInterrupt
        remove(folder, ignore_errors)

    with monkeypatch.context() as patch:
        patch.setattr(corpus_build.shutil, "rmtree", dying)
        assert main(command) == 130
    assert main([*command, "--vocabulary", "280", "--replace"]) == 0
    assert load_tokenizer(tmp_path / "out" / "tokenizer").symbols == 280
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts"]


def test_what_cannot_be_the_output_is_refused_before_any_work(tmp_path, texts, capsys):
    for out, message in ((texts, "holds something that is no corpus"), (texts / "0" / "0.jsonl", "is a file")):
        assert main(["corpus", str(texts), "--out", str(out), *OPTIONS]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"sbp: {out}: {message}")
        assert not out.with_name(f"{out.name}.work").exists()


def test_no_files_named_is_one_line(tmp_path, capsys):
    assert main(["corpus", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "sbp: sbp corpus: expected folders, globs or files to read\n"
