"""Every kind of bad file on the way into a corpus, by `sbp corpus` and by the corpus stage of `sbp run`: named in one
line, skipped only where that is asked for, and counted."""

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sbp_bayes.cli import main
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import experiment_from
from sbp_bayes.plan import plan_seed
from sbp_bayes.stages.corpus import build_corpus

GOOD = 40
OPTIONS = ["--id-column", "id", "--workers", "1", "--vocabulary", "256"]
ROWS = [{"id": f"good-{i}", "text": f"document {i} is about the {i}th thing"} for i in range(GOOD)]


def lines(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


MANY = [{"id": f"many-{i}", "text": f"{i * 7919} words of one more"} for i in range(500)]
BAD = {
    "corrupt shard": ("b.parquet", parquet(MANY)[:-20], r"b\.parquet: could not be read beyond row 0", "unreadable"),
    "truncated gzip": (
        "b.jsonl.gz",
        gzip.compress(lines(MANY))[:-9],
        r"b\.jsonl\.gz: could not be read beyond line \d+",
        "unreadable",
    ),
    "invalid UTF-8": (
        "b.jsonl",
        b'{"id": "u", "text": "\xff"}\n',
        r"b\.jsonl: line 1 is not valid UTF-8 \(byte 22\)",
        "unreadable",
    ),
    "missing column": (
        "b.parquet",
        parquet([{"id": "m", "body": "x"}]),
        r"b\.parquet: no column 'text' \(there are: id, body\)",
        "unreadable",
    ),
    "duplicate ids": (
        "b.jsonl",
        lines([{"id": "good-3", "text": "another"}]),
        r"two documents have the id 'good-3'",
        "ids that are there already",
    ),
    "document of 10 MB": (
        "b.jsonl",
        lines([{"id": "long", "text": "word " * 2_000_001}]),
        r"long: 10,000,004 characters, (corpus\.clean\.max_characters|--max-characters) allows 100,000 "
        r'\((corpus\.clean\.long_documents = "split" or "drop"|--long-documents split or drop) goes on\)',
        "too long",
    ),
}


def folder_with(tmp_path: Path, name: str, content: bytes) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines(ROWS))
    (folder / name).write_bytes(content)
    return folder


def by_command(folder: Path, out: Path, clean: dict) -> dict[str, int]:
    """Counts of what `sbp corpus` leaves out; UserError with its line where it refuses."""
    options = [f"--{key.replace('_', '-')}={value}" for key, value in clean.items()]
    code = main(["corpus", str(folder), "--out", str(out), *OPTIONS, *options])
    assert code == 0
    found = json.loads((out / "source.json").read_text())["counts"]
    assert found["documents"] >= GOOD
    return found["left out"]


def by_stage(folder: Path, out: Path, clean: dict) -> dict[str, int]:
    """Counts of what the corpus stage leaves out, as its report shows them."""
    corpus = {"text": {"path": str(folder), "id_column": "id"}, "clean": clean}
    sizes = {"real": 10, "validation": 5, "heldout": 5, "oracle": 20}
    table = {"name": "x", "corpus": {**corpus, **sizes}, "tokenizer": {"kind": "bytes"}}
    out.mkdir()
    build_corpus(plan_seed(experiment_from(table), 0).corpus, {}, out, "cpu")
    return json.loads((out / "source.json").read_text())["cleaning"]["documents"]


@pytest.mark.parametrize("bad", BAD)
def test_sbp_corpus_names_it_and_skips_it_where_asked(tmp_path, capsys, bad):
    name, content, message, reason = BAD[bad]
    folder = folder_with(tmp_path, name, content)
    assert main(["corpus", str(folder), "--out", str(tmp_path / "out"), *OPTIONS]) == 2
    *others, last = capsys.readouterr().err.splitlines()
    assert re.search(message, last) and "corpus." not in last
    assert not any(re.search(message, line) for line in others)
    assert not (tmp_path / "out").exists()
    counts = by_command(folder, tmp_path / "out", {"on_bad": "skip", "long_documents": "drop"})
    assert counts == {reason: 1}
    assert pq.read_table(tmp_path / "out" / "dropped.parquet")["reason"].to_pylist() == [reason]


@pytest.mark.parametrize("bad", BAD)
def test_the_corpus_stage_names_it_and_skips_it_where_asked(tmp_path, bad):
    name, content, message, reason = BAD[bad]
    folder = folder_with(tmp_path, name, content)
    with pytest.raises(UserError, match=message) as told:
        by_stage(folder, tmp_path / "stopped", {})
    assert "\n" not in str(told.value)
    assert by_stage(folder, tmp_path / "out", {"on_bad": "skip", "long_documents": "drop"})[reason] == 1


@pytest.mark.parametrize("way", [by_command, by_stage])
def test_empty_documents_and_copies_are_always_counted(tmp_path, way):
    rows = [{"id": "e", "text": " \n"}, {"id": "c", "text": f" {ROWS[7]['text']}\n"}]
    counts = way(folder_with(tmp_path, "b.jsonl", lines(rows)), tmp_path / "out", {})
    assert (counts["empty"], counts["exact copies"]) == (1, 1)
    dropped = {row["doc_id"]: row["kept"] for row in pq.read_table(tmp_path / "out" / "dropped.parquet").to_pylist()}
    assert dropped == {"e": None, "c": "good-7"}


@pytest.mark.parametrize("way", [by_command, by_stage])
def test_a_document_of_10_mb_may_be_split(tmp_path, way):
    text = " ".join(str(7919 * i % 100_003) for i in range(1_750_000))
    folder = folder_with(tmp_path, "b.jsonl", lines([{"id": "long", "text": text}]))
    counts = way(folder, tmp_path / "out", {"long_documents": "split"})
    assert not counts.get("too long")
    if way is by_command:
        rows = pq.read_table(tmp_path / "out" / "part-00001.parquet").to_pylist()
        assert " ".join(row["text"] for row in rows) == text
        assert [row["doc_id"] for row in rows] == [f"long~{i}" for i in range(len(rows))]
        assert max(len(row["text"]) for row in rows) <= 100_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere"], r"nowhere: no \.txt"),
        (["texts", "--languages", "xx"], r"--languages xx: expected some of da, de"),
        (["texts", "--max-characters", "-1"], r"--max-characters -1: expected 0 or more"),
        (["texts", "--tokenizer", "nowhere"], r"--tokenizer nowhere: expected a tokenizer\.json"),
        (["texts", "--vocabulary", "7"], r"at least 256 symbols, not 7"),
        (["texts", "--text-column", "body"], r"clean: 1 of 1 failed, .*: clean-00000: .*: no key 'body'"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, monkeypatch, capsys, options, message):
    folder_with(tmp_path, "notes.md", b"")
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", *options, "--out", "out", "--workers", "1"]) == 2
    *others, last = capsys.readouterr().err.splitlines()
    assert re.search(message, last) and "corpus." not in last
    assert not any(re.search(message, line) for line in others)
