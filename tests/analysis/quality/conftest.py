"""A small dictionary with two entries a headword, and writers of synthetic entries, one right and the others wrong."""

from dataclasses import dataclass

import numpy as np
import pytest

from sbp_bayes.seeds import numpy_generator

HEADWORDS = 150
FOLLOWERS = 3  # words that may follow a word, so that the order of words matters
VOCABULARY = 120


class Dictionary:
    """Entries: the headword, words of a chain that all entries share, and words of its headword alone."""

    def __init__(self, headwords: int, seed: int):
        self.rng = numpy_generator("test dictionary", seed)
        self.follow = numpy_generator("test dictionary chain").integers(0, VOCABULARY, (VOCABULARY, FOLLOWERS))
        self.headwords = [f"head{seed}x{i}" for i in range(headwords)]

    def entry(self, headword: str, sentences: int = 4) -> str:
        parts = []
        for _ in range(sentences):
            word = int(self.rng.integers(VOCABULARY))
            chain = []
            for _ in range(int(self.rng.integers(4, 8))):
                chain.append(f"w{word}")
                word = int(self.follow[word, self.rng.integers(FOLLOWERS)])
            parts.append(f"{' '.join(chain)} {headword}topic{self.rng.integers(6)}")
        return f"{headword}, n. {'. '.join(parts)}."


@dataclass
class Material:
    """real: texts of D; concepts: their headwords; heldout and its concepts; seeds: d1's number for each synthetic
    document; written: writer -> documents, one for each seed."""

    real: list[str]
    concepts: list[str]
    heldout: list[str]
    heldout_concepts: list[str]
    seeds: np.ndarray
    written: dict[str, list[str]]

    @property
    def d1(self) -> list[str]:
        return [self.real[i] for i in self.seeds]


@pytest.fixture(scope="session")
def material() -> Material:
    ours, theirs = Dictionary(HEADWORDS, 0), Dictionary(HEADWORDS, 1)
    concepts = [h for h in ours.headwords for _ in range(2)]
    unseen = [h for h in theirs.headwords for _ in range(2)]
    real = [ours.entry(h) for h in concepts]
    heldout = [theirs.entry(h) for h in unseen]
    rng = numpy_generator("test writers")
    seeds = np.tile(np.arange(len(real)), 2)
    right = [ours.entry(concepts[i]) for i in seeds]
    other = (seeds + 2 * rng.integers(1, HEADWORDS, len(seeds))) % len(real)
    written = {
        "right": right,
        "copier": [real[i] for i in seeds],
        "repeater": [f"{text} {text}" for text in right],
        "of another": [real[i] for i in other],
        "shuffler": [" ".join(rng.permutation(text.split())) for text in right],
        "monotonous": [right[i % 40] for i in range(len(right))],
        "brief": [" ".join(text.split()[:9]) for text in right],
    }
    return Material(real, concepts, heldout, unseen, seeds, written)
