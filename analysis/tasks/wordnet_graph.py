"""WordNet's synsets with the relation that its glosses don't say: what is a kind of what."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sbp_bayes.documents.dictionaries import lemma, wordnet_files

LETTERS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
HYPERNYM = "@"

Key = tuple[str, str]
"""Part of speech and offset in its file."""


@dataclass(frozen=True)
class Synset:
    """words: lower case, the commonest first; hypernyms: what every such thing is a kind of."""

    words: tuple[str, ...]
    hypernyms: tuple[Key, ...]


class WordNetGraph:
    """Synsets by their keys, with what follows from their relations. Memory: some 100 MB."""

    def __init__(self, synsets: dict[Key, Synset]):
        self.synsets = synsets

    @classmethod
    def read(cls, package: Path) -> "WordNetGraph":
        """From npm's tarball or Debian's package."""
        found = {}
        for part, lines in wordnet_files(package).items():
            for line in lines:
                if not line.startswith("  ") and " | " in line:
                    fields = line.split(" | ", 1)[0].split()
                    found[LETTERS[part], fields[0]] = _synset(fields)
        return cls(found)

    @cached_property
    def senses(self) -> dict[str, list[Key]]:
        """Word -> its synsets, of any part of speech."""
        found: dict[str, list[Key]] = defaultdict(list)
        for key, synset in self.synsets.items():
            for word in synset.words:
                found[word].append(key)
        return found

    @cached_property
    def hyponyms(self) -> dict[Key, list[Key]]:
        """Synset -> those that are a kind of it, one step away."""
        found: dict[Key, list[Key]] = defaultdict(list)
        for key, synset in self.synsets.items():
            for above in synset.hypernyms:
                found[above].append(key)
        return found

    def siblings(self, key: Key) -> list[Key]:
        """The other synsets that are a kind of what ``key`` is a kind of, each once, in WordNet's order."""
        above = self.synsets[key].hypernyms
        return [other for other in dict.fromkeys(k for a in above for k in self.hyponyms[a]) if other != key]

    def ancestors(self, key: Key) -> set[Key]:
        """Everything that ``key`` is a kind of, by any path."""
        found: set[Key] = set()
        waiting = [key]
        while waiting:
            above = [k for k in self.synsets[waiting.pop()].hypernyms if k not in found]
            found.update(above)
            waiting += above
        return found

    def words(self, keys) -> set[str]:
        """All words of synsets."""
        return {word for key in keys for word in self.synsets[key].words}


def _synset(fields: list[str]) -> Synset:
    """offset, file, type, count of words (hexadecimal), word and id of each, count of pointers, four fields of each."""
    count = int(fields[3], 16)
    words = dict.fromkeys(lemma(word) for word in fields[4 : 4 + 2 * count : 2])
    start = 4 + 2 * count
    pointers = [fields[i : i + 4] for i in range(start + 1, start + 1 + 4 * int(fields[start]), 4)]
    hypernyms = tuple((part.replace("s", "a"), offset) for kind, offset, part, _ in pointers if kind == HYPERNYM)
    return Synset(tuple(words), hypernyms)
