"""Definition to headword: which of several headwords does a dictionary's text belong to."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from analysis.tasks.item import Item, alike, arranged, drawn
from analysis.tasks.leakage import Rule
from sbp_bayes.documents.dictionaries import read_wordnet
from sbp_bayes.documents.lexicon import dictionary_documents

SENSES = 40  # words of a definition at most
SHORTEST = 8
PART_OF_SPEECH = re.compile(r", ([a-z][a-z .&]*[.:]|\S+)")


def definition_items(files: Mapping[str, Path], rule: Rule, rng: np.random.Generator, options: int) -> Iterator[Item]:
    """``cup, n. A small vessel ...`` with other headwords put in front: one item a headword, in random order.

    The model is asked which beginning makes the definition most likely, so that the answer's own length and frequency
    don't count. Wrong headwords come from the same dictionary, with the same part of speech and number of words; none
    shares a synset of WordNet with the right one, and no option has a word in common with the definition.
    """
    glosses, _ = read_wordnet(files["wordnet"]) if "wordnet" in files else ({}, [])
    found = []
    pools: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for document in dictionary_documents(files, SHORTEST, SENSES):
        if rule.allows(document.source, document.concept):
            ending = document.text[len(document.concept) :]
            kind = _kind(document.source, document.concept, ending)
            pools[kind].append(document.concept)
            found.append((document, ending, kind))
    asked: set[str] = set()
    for i in rng.permutation(len(found)):
        document, ending, kind = found[i]
        headword = document.concept
        if headword in asked or alike(headword, ending):
            continue
        own = set(glosses.get(headword, ()))
        pool = drawn(rng, pools[kind], 4 * options)
        wrong = [w for w in pool if w != headword and not alike(w, ending) and own.isdisjoint(glosses.get(w, ()))]
        if len(wrong) >= options - 1:
            asked.add(headword)
            arrangement = arranged(rng, headword, wrong[: options - 1])
            yield Item(document.doc_id, headword, *arrangement, ending=ending, evidence=ending)


def _kind(source: str, headword: str, ending: str) -> tuple[str, str, int]:
    """Dictionary, part of speech as it writes it, number of words."""
    part = PART_OF_SPEECH.match(ending)
    return source, part[1] if part else "", len(headword.split())
