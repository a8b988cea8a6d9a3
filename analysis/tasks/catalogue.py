"""The tasks that can be made of fetched dictionaries."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.tasks.acronyms import acronym_items
from analysis.tasks.definition import definition_items
from analysis.tasks.encyclopedia import description_items, topic_items
from analysis.tasks.item import Item
from analysis.tasks.leakage import Rule
from analysis.tasks.relations import hypernym_items, synonym_items
from sbp_bayes.documents.catalogue import VERA
from sbp_bayes.documents.fetch import Package
from sbp_bayes.documents.lexicon import PACKAGES

PREFIX = "lexicon-"


@dataclass(frozen=True)
class LexiconTask:
    """about: one line; packages: what it is made of; items: (files, rule, rng, options) -> items in random order."""

    about: str
    packages: Mapping[str, tuple[Package, ...]]
    items: Callable[[Mapping[str, Path], Rule, np.random.Generator, int], Iterator[Item]]
    optional: bool = False  # whether it can do without one of its packages


def _of(*names: str) -> dict[str, tuple[Package, ...]]:
    return {name: PACKAGES[name] for name in names}


TASKS = {
    "lexicon-definition": LexiconTask(
        "which of several headwords a dictionary's definition belongs to", PACKAGES, definition_items, optional=True
    ),
    "lexicon-hypernym": LexiconTask("what a noun is a kind of, among siblings", _of("wordnet"), hypernym_items),
    "lexicon-acronym": LexiconTask("what an acronym of computing stands for", {"vera": (VERA,)}, acronym_items),
    "lexicon-description": LexiconTask(
        "an article's short description among others of its topic", _of("wikipedia"), description_items
    ),
    "lexicon-topic": LexiconTask("an article's topic among eleven", _of("wikipedia"), topic_items),
    "lexicon-synonym": LexiconTask("a word of the same meaning among related words", _of("wordnet"), synonym_items),
}
"""Name -> task; the names are those of the YAML files."""
