import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_text import cleaned

from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.splits import split_groups
from sbp_bayes.documents.text_source import TextSource
from sbp_bayes.errors import UserError

WORDNET = Path(__file__).parent.parent / "data" / "wordnet"
WORDNET_OPTIONS = {
    "path": str(WORDNET),
    "concept_column": "headword",
    "id_column": "id",
    "source_column": "dictionary",
}


def splits_of(options, sizes, seed=0, **clean):
    """split -> rows, of the files that the options name."""
    found = cleaned(TextSource.from_options(options, seed), sizes, seed, **clean)
    return {name: table.to_pylist() for name, table in found.splits.items()}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-1, 12), min_size=60, max_size=120), st.integers(0, 5))
def test_splits_are_disjoint_whole_groups(groups, seed):
    groups = np.array(groups)
    try:
        splits = split_groups(groups, SplitSizes(20, 10, 10, 25), seed, "here")
    except UserError:
        return
    pool = np.concatenate([splits["oracle"], splits["validation"], splits["heldout"]])
    assert len(set(pool.tolist())) == pool.size
    assert set(splits["real"]) <= set(splits["oracle"])
    assert (groups[pool] >= 0).all()
    for split in ("real", "validation", "heldout"):
        inside = set(groups[splits[split]])
        assert sorted(splits[split]) == np.flatnonzero(np.isin(groups, list(inside))).tolist()


def test_split_sizes_are_exact_when_groups_are_single_documents():
    splits = split_groups(np.arange(100), SplitSizes(30, 10, 20, 60), 0, "here")
    assert {name: indices.size for name, indices in splits.items()} == {
        "heldout": 20,
        "validation": 10,
        "real": 30,
        "oracle": 60,
    }
    again = split_groups(np.arange(100), SplitSizes(30, 10, 20, 60), 0, "here")
    other = split_groups(np.arange(100), SplitSizes(30, 10, 20, 60), 1, "here")
    assert all((splits[name] == again[name]).all() for name in splits)
    assert (splits["real"] != other["real"]).any()


def test_too_few_documents_say_the_numbers():
    with pytest.raises(UserError, match=r"here: 10 usable documents are too few for 13"):
        split_groups(np.arange(10), SplitSizes(5, 2, 2, 9), 0, "here")
    with pytest.raises(UserError, match=r"heldout asks for 2 documents, 0 could be had .*largest has 10"):
        split_groups(np.repeat([0, 1], 10), SplitSizes(5, 2, 2, 9), 0, "here")
    with pytest.raises(UserError, match="cannot contain"):
        SplitSizes(5, 1, 1, 4)


def test_concepts_are_split_whole():
    splits = splits_of(WORDNET_OPTIONS, SplitSizes(200, 40, 60, 360))
    assert {name: len(rows) for name, rows in splits.items()} == {
        "real": 200,
        "validation": 40,
        "heldout": 60,
        "oracle": 360,
    }
    concepts = {name: {row["concept"] for row in rows} for name, rows in splits.items()}
    assert concepts["real"] <= concepts["oracle"]
    assert not concepts["oracle"] & concepts["heldout"]
    assert not concepts["oracle"] & concepts["validation"]
    assert not concepts["validation"] & concepts["heldout"]
    for rows in splits.values():
        for row in rows:
            assert row["doc_id"] == f"{row['source']}:{row['concept']}"
            assert row["text"].startswith(row["concept"])


def test_splits_are_a_function_of_the_seed():
    def real(seed):
        return splits_of(WORDNET_OPTIONS, SplitSizes(100, 20, 20, 120), seed)["real"]

    assert real(0) == real(0)
    assert real(0) != real(1)


def write_files(folder, count=6):
    """The same documents as .txt, .jsonl and .parquet, one kind a subfolder."""
    texts = [f"document number {i} of some words" for i in range(count)]
    for kind in ("txt", "jsonl", "parquet"):
        (folder / kind).mkdir()
    for i, text in enumerate(texts):
        (folder / "txt" / f"{i}.txt").write_text(text)
    (folder / "jsonl" / "all.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pq.write_table(pa.table({"text": texts}), folder / "parquet" / "all.parquet")
    return texts


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet"])
def test_every_kind_of_file_is_read(tmp_path, kind):
    texts = write_files(tmp_path)
    options = {"path": str(tmp_path / kind)}
    splits = splits_of(options, SplitSizes(2, 1, 1, 4))
    seen = [row["text"] for name in ("oracle", "validation", "heldout") for row in splits[name]]
    assert sorted(seen) == texts
    assert TextSource.from_options(options, 0).describe()["label"] == f"text({kind})"


def test_globs_and_single_files(tmp_path):
    write_files(tmp_path)
    assert len(splits_of({"path": str(tmp_path / "txt" / "[0-3].txt")}, SplitSizes(1, 1, 1, 2))["oracle"]) == 2
    assert len(splits_of({"path": str(tmp_path / "jsonl" / "all.jsonl")}, SplitSizes(1, 1, 1, 2))["real"]) == 1


def test_several_places_are_one_corpus(tmp_path):
    texts = write_files(tmp_path)
    (tmp_path / "more.jsonl").write_text('{"text": "one more"}\n')
    options = {"path": [str(tmp_path / "txt"), str(tmp_path / "more.jsonl")]}
    splits = splits_of(options, SplitSizes(2, 1, 1, 5))
    seen = {row["doc_id"]: row["text"] for name in ("oracle", "validation", "heldout") for row in splits[name]}
    assert seen == {f"txt/{i}.txt": text for i, text in enumerate(texts)} | {"more.jsonl#0": "one more"}
    assert TextSource.from_options(options, 0).describe()["label"] == "text(txt+more.jsonl)"


def test_empty_documents_and_copies_are_left_out_and_counted(tmp_path):
    texts = ["one", "two", "  ", "one", "two\n", "three", "four", "five"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    found = cleaned(TextSource.from_options({"path": str(tmp_path)}, 0), SplitSizes(2, 1, 1, 3))
    assert found.statistics["usable"] == 5
    dropped = {row["doc_id"]: (row["reason"], row["kept"]) for row in found.dropped.to_pylist()}
    copies = {"a.jsonl#3": ("exact copies", "a.jsonl#0"), "a.jsonl#4": ("exact copies", "a.jsonl#1")}
    assert dropped == {"a.jsonl#2": ("empty", None), **copies}
    with pytest.raises(UserError, match="5 usable documents are too few for 6"):
        splits_of({"path": str(tmp_path)}, SplitSizes(2, 1, 1, 4))


def test_long_documents_are_split_truncated_or_refused(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.txt").write_text(" ".join(f"{name}{i}" for i in range(7)))

    def texts(rule):
        options = {"path": str(tmp_path), "max_words": 3, "long_documents": rule}
        splits = splits_of(options, SplitSizes(3, 3, 3, 3 if rule == "split" else 4))
        return [[row["text"] for row in splits[name]] for name in ("real", "validation", "heldout")]

    for parts in texts("split"):
        (name,) = {part[0] for part in parts}  # all three parts of one document
        assert sorted(parts) == [f"{name}0 {name}1 {name}2", f"{name}3 {name}4 {name}5", f"{name}6"]
    with pytest.raises(UserError, match="usable documents are too few"):
        texts("truncate")
    with pytest.raises(UserError, match=r"7 words, corpus\.text\.max_words allows 3"):
        texts("error")


def test_paragraphs_are_documents_of_their_own(tmp_path):
    (tmp_path / "book.txt").write_text("one\nline\n\ntwo\n \nthree\n\n\nfour")
    splits = splits_of({"path": str(tmp_path), "paragraphs": True}, SplitSizes(1, 1, 1, 2))
    seen = {row["text"] for name in ("oracle", "validation", "heldout") for row in splits[name]}
    assert seen == {"one\nline", "two", "three", "four"}


def test_documents_without_partners_are_left_out_of_concept_splits(tmp_path):
    concepts = ["a", "a", "b", "b", "c", "c", "d", None]
    lines = (json.dumps({"text": f"text {i}", "topic": concept}) + "\n" for i, concept in enumerate(concepts))
    (tmp_path / "a.jsonl").write_text("".join(lines))
    source = TextSource.from_options({"path": str(tmp_path), "concept_column": "topic"}, 0)
    found = cleaned(source, SplitSizes(2, 2, 2, 2))
    assert {c for table in found.splits.values() for c in table["concept"].to_pylist()} == {"a", "b", "c"}
    dropped = [(row["doc_id"], row["reason"]) for row in found.dropped.to_pylist()]
    assert dropped == [("a.jsonl#7", "without a concept"), ("a.jsonl#6", "alone with their concept")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "text.path: expected"),
        ({"path": []}, "text.path: expected a folder"),
        ({"path": ["x", 3]}, "text.path: expected a folder.* or a list"),
        ({"path": "x", "colour": "red"}, "text.colour: no such option .*max_words"),
        ({"path": "x", "max_words": "3"}, "max_words = '3': expected int"),
        ({"path": "x", "max_words": -3}, "max_words = -3"),
        ({"path": "x", "long_documents": "keep"}, "long_documents = 'keep'"),
        ({"path": "no/such/folder"}, r"no/such/folder: no \.txt, .* file there"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        TextSource.from_options(options, 0)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.txt", b"\xff\xfe", {}, r"a\.txt: not valid UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"te', {}, r"a\.jsonl: line 2 is not JSON"),
        ("a.jsonl", b"[1]\n", {}, r"line 1 is not a JSON object"),
        ("a.jsonl", b'{"body": "x"}\n', {}, r"row 1: no key 'text' \(there are: body\)"),
        ("a.jsonl", b'{"text": 3}\n', {}, r"'text' is int, expected a string"),
        (
            "a.jsonl",
            b'{"text": "x", "n": 1}\n{"text": "y", "n": 1}\n',
            {"id_column": "n"},
            "two documents have the id '1'",
        ),
        ("a.parquet", b"PAR1 no", {}, r"a\.parquet: could not be read"),
        ("a.md", b"x", {}, "no .txt"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, options, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        splits_of({"path": str(tmp_path), **options}, SplitSizes(1, 1, 1, 1))


def test_a_missing_parquet_column_is_named(tmp_path):
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: no column 'text' \(there are: body\)"):
        splits_of({"path": str(tmp_path)}, SplitSizes(1, 1, 1, 1))


def test_identity_changes_with_files_and_options(tmp_path):
    write_files(tmp_path)
    options = {"path": str(tmp_path / "txt")}
    first = TextSource.from_options(options, 0).identity()
    assert TextSource.from_options(options, 0).identity() == first
    assert TextSource.from_options({**options, "max_words": 9}, 0).identity() != first
    (tmp_path / "txt" / "0.txt").write_text("changed, and longer than before it was")
    assert TextSource.from_options(options, 0).identity() != first
