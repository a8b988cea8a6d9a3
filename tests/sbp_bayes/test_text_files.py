import gzip
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sbp_bayes.documents.text_files import Columns, TextDocument, find_files, kind_of, read_documents
from sbp_bayes.documents.text_lines import Unreadable, read_lines
from sbp_bayes.errors import UserError

ROWS = [{"text": f"document {i}, ☕ and words", "n": i} for i in range(2000)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}


def read(file, columns=None, paragraphs=False):
    """Texts that could be read, and messages about what could not."""
    found = list(read_documents([file], file.parent, columns or Columns("text"), paragraphs))
    texts = [item.text for item in found if isinstance(item, TextDocument)]
    return texts, [item.message for item in found if isinstance(item, Unreadable)]


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_files_read_like_plain_ones(tmp_path, suffix):
    file = write(tmp_path, f"a.jsonl{suffix}", COMPRESS[suffix](JSONL))
    assert read(file) == ([row["text"] for row in ROWS], [])
    text = write(tmp_path, f"a.txt{suffix}", COMPRESS[suffix](b"one\r\nline\n\ntwo"))
    assert read(text) == (["one\nline\n\ntwo"], [])
    assert read(text, paragraphs=True) == (["one\nline", "two"], [])


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_of_several_members_are_read_whole(tmp_path, suffix):
    content = COMPRESS[suffix](JSONL[:1000]) + COMPRESS[suffix](JSONL[1000:])
    assert len(read(write(tmp_path, f"a.jsonl{suffix}", content))[0]) == len(ROWS)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_truncated_file_gives_what_is_before_the_break_and_is_named(tmp_path, suffix):
    content = COMPRESS[suffix](JSONL)
    for kept in (len(content) // 2, len(content) - 4, 2, 0):
        file = write(tmp_path, f"a.jsonl{suffix}", content[:kept])
        texts, (message,) = read(file)
        assert texts == [row["text"] for row in ROWS][: len(texts)]
        assert message.startswith(f"{file}: could not be read beyond line {len(texts)}")


def test_a_corrupt_block_is_named(tmp_path):
    content = bytearray(gzip.compress(JSONL))
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    texts, messages = read(write(tmp_path, "a.jsonl.gz", bytes(content)))
    assert len(texts) < len(ROWS)
    assert "a.jsonl.gz: could not be read beyond line" in messages[-1]


def test_bad_lines_are_named_and_the_others_read(tmp_path):
    lines = [b'{"text": "a"}', b'{"text": "\xff"}', b"", b'{"te', b"[1]", b'{"text": 3}', b'{"b": 1}', b'{"text": "z"}']
    texts, messages = read(write(tmp_path, "a.jsonl", b"\n".join(lines)))
    assert texts == ["a", "z"]
    expected = ("line 2 is not valid UTF-8", "line 4 is not JSON", "line 5 is not a JSON object", "row 5", "row 6")
    assert len(messages) == len(expected)
    for message, words in zip(messages, expected, strict=True):
        assert f"a.jsonl: {words}" in message and "\n" not in message


def test_half_a_character_is_named(tmp_path):
    texts, (message,) = read(write(tmp_path, "a.jsonl", b'{"text": "\\ud800"}\n{"text": "b"}'))
    assert texts == ["b"]
    assert "row 1: has half a character" in message


def test_a_line_that_is_too_long_is_told_and_the_next_one_read(tmp_path):
    file = write(tmp_path, "a.jsonl", b"x" * 3_000_000 + b"\nshort\n" + b"y" * 3_000_000)
    found = list(read_lines(file, longest=1000))
    assert found[1] == (2, b"short")
    assert [item.message.split(": ")[1] for item in (found[0], found[2])] == [
        f"line {n} has 3,000,000 bytes, at most 1,000 are read" for n in (1, 3)
    ]


def test_a_parquet_row_of_bad_utf8_is_named(tmp_path):
    values = pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, values.buffers())
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet")
    texts, (message,) = read(tmp_path / "a.parquet")
    assert texts == ["good", "fine"]
    assert message == f"{tmp_path / 'a.parquet'}: row 2 is not valid UTF-8"


def test_a_truncated_parquet_file_is_named(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    texts, (message,) = read(write(tmp_path, "b.parquet", content[:-20]))
    assert not texts
    assert "b.parquet: could not be read beyond row 0" in message


def test_missing_columns_are_named(tmp_path):
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "a.parquet")
    assert "a.parquet: no column 'text' (there are: body)" in read(tmp_path / "a.parquet")[1][0]
    file = write(tmp_path, "a.jsonl", b'{"text": "x"}')
    assert "row 1: no key 'topic' (there are: text)" in read(file, Columns("text", concept="topic"))[1][0]


def test_kinds_of_files():
    names = {"a.txt": ".txt", "a.jsonl.gz": ".jsonl", "a.tar.gz": None, "a.parquet.gz": None, "a.md": None}
    assert {name: kind_of(Path(name)) for name in names} == names


def test_folders_globs_and_files_mix_and_each_file_comes_once(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.txt", "b.jsonl.gz", "deep/c.parquet", "notes.md"):
        (tmp_path / name).write_bytes(b"x")
    paths = [str(tmp_path / "*.txt"), str(tmp_path / "deep"), str(tmp_path), str(tmp_path / "b.jsonl.gz")]
    assert [file.name for file in find_files(paths)] == ["a.txt", "c.parquet", "b.jsonl.gz"]
    with pytest.raises(UserError, match=r"nothing: no \.txt"):
        find_files([str(tmp_path), str(tmp_path / "nothing")])


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=300) | st.lists(st.sampled_from([b'{"text": "a"}', b"\n", b"\r", b"{", b"\xff"])).map(b"".join),
    st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.txt", "a.txt.gz", "a.parquet"]),
    st.booleans(),
    st.integers(0, 40),
)
@example(b"\n" * 5, "a.txt", True, 0)
def test_no_content_breaks_a_reader(content, name, wrapped, cut):
    """Whatever is in a file, reading ends, and gives documents and one-line messages that name the file."""
    packed = COMPRESS[Path(name).suffix](content) if wrapped and Path(name).suffix in COMPRESS else content
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder), name, packed[: len(packed) - cut])
        for paragraphs in (False, True):
            texts, messages = read(file, paragraphs=paragraphs)
            assert all(isinstance(text, str) for text in texts)
            assert all(message.startswith(str(file)) and "\n" not in message for message in messages)
            for text in texts:
                text.encode()
