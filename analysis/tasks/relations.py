"""What is a kind of what, and what means the same: items of WordNet's graph."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from analysis.tasks.item import Item, alike, arranged, drawn
from analysis.tasks.leakage import Rule
from analysis.tasks.wordnet_graph import Key, WordNetGraph

SOURCE = "wordnet"
SAME_ANSWER = 3  # items with one answer at most: half of all plants are herbs, which is no knowledge of any plant


def hypernym_items(files: Mapping[str, Path], rule: Rule, rng: np.random.Generator, options: int) -> Iterator[Item]:
    """``a cup is a kind of``: the first word of the synset above; wrong ones are those of its siblings.

    Nouns with one sense, so that one answer is right: no wrong word names anything that the noun is a kind of.
    """
    graph = WordNetGraph.read(files[SOURCE])
    answers: Counter[str] = Counter()
    for headword, key in _single_senses(graph, "n", rule, rng):
        above = graph.synsets[key].hypernyms
        if len(above) != 1:
            continue
        right = graph.synsets[above[0]].words[0]
        true = graph.words(graph.ancestors(key)) | graph.words([key])
        pool = [graph.synsets[k].words[0] for k in graph.siblings(above[0])]
        if answers[right] < SAME_ANSWER:
            for item in _item(headword, right, pool, true, f"{headword} is a kind of", rule, rng, options):
                answers[right] += 1
                yield item


def synonym_items(files: Mapping[str, Path], rule: Rule, rng: np.random.Generator, options: int) -> Iterator[Item]:
    """``a cup means the same as``: another word of its synset; wrong ones are words of its siblings.

    Nouns and verbs with one sense; no wrong word is in a synset with the headword or names something above it.
    """
    graph = WordNetGraph.read(files[SOURCE])
    for headword, key in _single_senses(graph, "nv", rule, rng):
        others = [word for word in graph.synsets[key].words if word != headword]
        if others:
            right = drawn(rng, others, 1)[0]
            true = graph.words(graph.ancestors(key)) | graph.words([key])
            pool = sorted(graph.words(graph.siblings(key)))
            prompt = f"{headword} means the same as"
            yield from _item(headword, right, pool, true, prompt, rule, rng, options)


def _single_senses(graph: WordNetGraph, parts: str, rule: Rule, rng: np.random.Generator) -> Iterator[tuple[str, Key]]:
    """Words with one sense in all, of these parts of speech, that may be asked about, in random order."""
    found = [(w, keys[0]) for w, keys in graph.senses.items() if len(keys) == 1 and keys[0][0] in parts]
    for i in rng.permutation(len(found)):
        if rule.allows(SOURCE, found[i][0]):
            yield found[i]


def _item(
    headword: str,
    right: str,
    pool: list[str],
    true: set[str],
    prompt: str,
    rule: Rule,
    rng: np.random.Generator,
    options: int,
) -> Iterator[Item]:
    """The item, where there are enough wrong options: not true, unlike headword and answer, read or not as it was."""
    if alike(right, headword):
        return
    wrong = [w for w in dict.fromkeys(pool) if w not in true and not alike(w, headword) and not alike(w, right)]
    wrong = drawn(rng, [w for w in wrong if rule.read(w) == rule.read(right)], options - 1)
    if len(wrong) == options - 1:
        yield Item(f"{SOURCE}:{headword}", headword, *arranged(rng, right, wrong), prompt=prompt)
