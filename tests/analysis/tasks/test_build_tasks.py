"""`sbp tasks`: the folder it writes, from packages that lie in the cache, and its rule about a run's headwords."""

import json

import pyarrow as pa
import pytest
from tiny_lexicon import HEADWORDS, gloss

from analysis.tasks.build_command import tasks
from sbp_bayes.cli import main
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.tokenizer import BpeTokenizer
from sbp_bayes.files import write_json

pytestmark = pytest.mark.usefixtures("tiny_cache")
NAMES = "lexicon-definition,lexicon-hypernym,lexicon-description,lexicon-topic,lexicon-synonym"


@pytest.fixture
def run(tmp_path):
    """What a run leaves of a corpus: GCIDE's first 100 headwords in D, 100 more in the oracle's, 20 held out."""
    stage = tmp_path / "runs" / "stages" / "corpus"
    splits = {"real": (0, 80), "oracle": (0, 140), "validation": (140, 160), "heldout": (160, 180)}
    tokenizer = BpeTokenizer.train(HEADWORDS, 300)
    for name, (first, last) in splits.items():
        words = HEADWORDS[first:last]
        texts = [f"{word}, n. {gloss(word, 'gcide')}." for word in words]
        table = pa.table(
            {"doc_id": [f"gcide:{word}" for word in words], "text": texts, "source": ["gcide"] * len(words)}
        )
        write_corpus(stage / name, [table], tokenizer, [pa.table({"concept": words})])
    write_json(tmp_path / "runs" / "tiny" / "seeds" / "0" / "stages.json", {"corpus": "../stages/corpus"})
    return tmp_path / "runs" / "tiny"


def rows_of(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_a_folder_of_tasks_says_where_it_comes_from(tmp_path, capsys):
    out = tmp_path / "out"
    assert tasks([str(out), "--tasks", NAMES, "--items", "25"]) == 0
    assert "25 items, chance 0.250" in capsys.readouterr().out
    record = json.loads((out / "tasks.json").read_text())
    assert list(record["tasks"]) == NAMES.split(",")
    assert set(record["missing"]) == {"foldoc", "jargon"}
    for name, about in record["tasks"].items():
        rows = rows_of(out, name)
        assert len(rows) == about["items"] == 25
        assert all(0 <= row["answer"] < len(row["options"]) for row in rows)
        assert f"task: {name}\n" in (out / f"{name}.yaml").read_text()
        assert about["packages"] and set(about["baselines"]) == {
            "shortest option",
            "longest option",
            "commonest answer",
        }
    page = (out / "README.md").read_text()
    assert "GPL" in page and "CC BY-SA" in page and "no-such-foldoc" in page
    assert (out / "items.py").exists()


def test_the_same_seed_writes_the_same_bytes_and_a_smaller_folder_loses_the_rest(tmp_path):
    for out, names in (("a", NAMES), ("b", NAMES), ("b", "lexicon-topic")):
        assert tasks([str(tmp_path / out), "--tasks", names, "--items", "20"]) == 0
    one, other = (tmp_path / out / "lexicon-topic.jsonl" for out in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert {file.stem for file in (tmp_path / "b").glob("lexicon-*")} == {"lexicon-topic"}


def test_of_a_run_only_headwords_that_it_did_not_read(tmp_path, run):
    assert tasks([str(tmp_path / "out"), "--run", str(run), "--tasks", "lexicon-definition"]) == 0
    asked = {row["headword"] for row in rows_of(tmp_path / "out", "lexicon-definition")}
    assert asked <= set(HEADWORDS[160:]) and asked & set(HEADWORDS[160:180])
    assert len(json.loads((tmp_path / "out" / "tasks.json").read_text())["corpora"]) == 2


def test_of_a_run_headwords_that_it_read_in_another_source(tmp_path, run, capsys):
    chosen = ["--run", str(run), "--headwords", "seen", "--tasks", "lexicon-definition,lexicon-topic"]
    assert tasks([str(tmp_path / "out"), *chosen]) == 0
    assert "lexicon-topic: left out: 0 items" in capsys.readouterr().err
    rows = rows_of(tmp_path / "out", "lexicon-definition")
    assert {row["headword"] for row in rows} <= set(HEADWORDS[:80])
    assert {row["item_id"].partition(":")[0] for row in rows} == {"wordnet"}


def test_a_definition_that_was_copied_is_not_asked_about(tmp_path, run):
    tokenizer = BpeTokenizer.train(HEADWORDS, 300)
    corpus = tmp_path / "runs" / "stages" / "corpus"
    stolen = HEADWORDS[200:230]
    texts = [f"it was said: {gloss(word, 'wordnet').upper()}" for word in stolen]
    names = [f"gcide:x{i}" for i in range(len(stolen))]
    table = pa.table({"doc_id": names, "text": texts, "source": ["gcide"] * len(stolen)})
    write_corpus(corpus / "oracle", [table], tokenizer, [pa.table({"concept": names})])
    assert tasks([str(tmp_path / "out"), "--run", str(run), "--tasks", "lexicon-definition"]) == 0
    asked = {row["item_id"] for row in rows_of(tmp_path / "out", "lexicon-definition")}
    assert asked.isdisjoint(f"wordnet:{word}" for word in stolen)
    record = json.loads((tmp_path / "out" / "tasks.json").read_text())["tasks"]["lexicon-definition"]
    assert 0 < record["left out as copied"] <= len(stolen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "lexicon-rhyme"], "no such task (there are: lexicon-definition"),
        (["--items", "3"], "expected 20 or more"),
        (["--run", "nowhere"], "nowhere: not a finished run"),
        (["--tasks", "lexicon-acronym"], "dpkg-deb"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, message):
    assert main(["tasks", str(tmp_path / "out"), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_kept(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    assert main(["tasks", str(tmp_path / "out"), "--tasks", "lexicon-topic"]) == 2
    assert "expected a new folder" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["letter.txt"]
