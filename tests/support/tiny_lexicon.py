"""Packages of made-up dictionaries, small enough to make tasks of in a test."""

import io
import itertools
import json
import random
import tarfile
import zipfile
from pathlib import Path

from dictd_package import dictd_package

TOPICS = ("Arts", "History", "Geography")


def words(count: int, seed: str) -> list[str]:
    """Different words of three syllables, no two alike in their first four letters."""
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    beginnings = ["".join(pair) for pair in itertools.product(syllables, syllables)]
    rng = random.Random(seed)
    return [beginning + rng.choice(syllables) for beginning in rng.sample(beginnings, count)]


HEADWORDS = words(300, "headwords")
FILLERS = words(300, "fillers")


def gloss(headword: str, dictionary: str) -> str:
    """Twelve words that no other headword's gloss has in this order."""
    rng = random.Random(f"{headword} {dictionary}")
    return " ".join(rng.sample([word for word in FILLERS if word[:4] != headword[:4]], 12))


def tiny_packages(folder: Path) -> dict[str, Path]:
    """Dictionary -> package: gcide, wordnet, wikipedia and vera."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "gcide": _gcide(folder / "gcide.whl"),
        "wordnet": _wordnet(folder / "wordnet.tgz"),
        "wikipedia": _wikipedia(folder / "wikipedia.whl"),
        "vera": dictd_package(folder / "vera.deb", "vera", _acronyms()),
    }


def _gcide(path: Path) -> Path:
    def entry(word: str) -> dict:
        part = {"part_of_speech": "n.", "definitions": [{"text": f"{gloss(word, 'gcide')}.", "examples": []}]}
        return {"entry": word, "pos": [part]}

    return _zip(path, "dictionary/data/en/words_A.json", {word: entry(word) for word in HEADWORDS[:200]})


def _wordnet(path: Path) -> Path:
    """A root, 5 kinds of it, 5 kinds of each, and 5 kinds of each of those with two words a synset."""
    lines, used = [], iter(HEADWORDS)

    def synset(offset: int, count: int, above: int | None) -> None:
        own = [next(used) for _ in range(count)]
        pointers = f"001 @ {above:08d} n 0000" if above is not None else "000"
        named = " ".join(f"{word} 0" for word in own)
        lines.append(f"{offset:08d} 03 n {count:02x} {named} {pointers} | {gloss(own[0], 'wordnet')}  ")

    synset(1, 1, None)
    for high in range(5):
        synset(10 + high, 1, 1)
        for middle in range(5):
            synset(100 + 10 * high + middle, 1, 10 + high)
            for low in range(4):
                synset(1000 + 100 * high + 10 * middle + low, 2, 100 + 10 * high + middle)
    with tarfile.open(path, "w:gz") as archive:
        for part in ("noun", "verb", "adj", "adv"):
            data = "\n".join(lines if part == "noun" else ["  1 a licence"]).encode()
            info = tarfile.TarInfo(f"package/dict/data.{part}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _wikipedia(path: Path) -> Path:
    articles = {
        word: {
            "title": word.capitalize(),
            "extract": f"{word.capitalize()} is {gloss(word, 'wikipedia')}.",
            "description": " ".join(gloss(word, "description").split()[:4]),
            "topic": TOPICS[i % 3],
        }
        for i, word in enumerate(HEADWORDS[100:250])
    }
    return _zip(path, "ovos/data/summaries_en-us.json", articles)


def _acronyms() -> list[tuple[str, str]]:
    letters = ["".join(three) for three in itertools.product("bd", "aeiou", "fgkl")]
    expansions = words(3 * len(letters), "expansions")
    three = zip(letters, zip(*[iter(expansions)] * 3, strict=True), strict=True)
    return [(acronym, f"{acronym.upper()}\n      {' '.join(text).upper()} (remark)\n") for acronym, text in three]


def _zip(path: Path, name: str, content: dict) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, json.dumps(content))
    return path
