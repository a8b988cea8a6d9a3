import json
import sys
import types

import pytest
from prepared_text import cleaned

from sbp_bayes.documents.hub_source import HubSource
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.text_lines import Unreadable
from sbp_bayes.errors import UserError

ROWS = [{"text": f" document {i} ", "topic": f"t{i % 4}"} for i in range(12)]


@pytest.fixture
def network(monkeypatch):
    """The ``datasets`` library replaced where it would reach for the network; notes how it was called."""
    calls = []

    def load_dataset(*arguments, **options):
        calls.append((arguments, options))
        if arguments[0] == "owner/gone":
            raise RuntimeError("404: no such dataset\ndetails")
        return stream(broken=arguments[0] == "owner/broken")

    def stream(broken):
        yield from ROWS
        if broken:
            raise ConnectionError("the connection was reset\nby the peer")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return calls


def source(**options):
    return HubSource.from_options({"name": "owner/texts", **options}, 0)


def test_a_dataset_is_read_as_a_stream(network):
    found = list(source(config="en", revision="abc", split="train[:5]").read())
    assert [(parent, document.text) for parent, document in found] == [
        (f"owner/texts#{i}", f"document {i}") for i in range(12)
    ]
    options = {"split": "train[:5]", "revision": "abc", "streaming": True}
    assert network == [(("owner/texts", "en"), options)]


def test_reading_stops_after_so_many_documents(network):
    assert [document.text for _, document in source(documents=2).read()] == ["document 0", "document 1"]


def test_columns_concepts_and_splits(network):
    found = cleaned(source(concept_column="topic"), SplitSizes(3, 3, 3, 6))
    assert set(found.splits["heldout"]["concept"].to_pylist()).isdisjoint(found.splits["oracle"]["concept"].to_pylist())
    (message,) = {item.message.partition(" row")[0] for item in source(text_column="body").read()}
    assert message == "owner/texts:"


def test_a_stream_that_breaks_off_is_named_after_what_it_gave(network):
    *documents, last = source(name="owner/broken").read()
    assert len(documents) == 12
    assert last == Unreadable("owner/broken: could not be read beyond row 12 (the connection was reset)")
    with pytest.raises(
        UserError, match=r"corpus\.hub\.name = 'owner/gone': could not be opened \(404: no such dataset\)"
    ):
        list(source(name="owner/gone").read())


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"\[corpus\.hub\]: needs the extra hub: pip install 'sbp-bayes\[hub\]'"):
        list(source().read())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, r"corpus\.hub\.name: missing"),
        ({"documents": -1}, r"corpus\.hub\.documents = -1"),
        ({"documents": "3"}, r"corpus\.hub\.documents = '3': expected int"),
        ({"colour": "red"}, r"corpus\.hub\.colour: no such option"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        source(**options)


def test_identity_tells_options_and_a_folders_files_apart(tmp_path):
    assert source().identity() == source().identity() != source(revision="abc").identity()
    file = tmp_path / "a.jsonl"
    file.write_text("{}")
    before = source(name=str(tmp_path)).identity()
    file.write_text("{ }")
    assert source(name=str(tmp_path)).identity() != before


@pytest.mark.filterwarnings("ignore")  # of the library itself
def test_a_folder_is_read_by_the_library(tmp_path):
    pytest.importorskip("datasets", reason="the extra hub is not installed")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = list(source(name=str(tmp_path), concept_column="topic").read())
    assert [(document.text, document.concept) for _, document in found] == [
        (row["text"].strip(), row["topic"]) for row in ROWS
    ]
