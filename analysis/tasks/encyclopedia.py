"""Title to short description and title to topic, from the leads of Wikipedia's vital articles."""

import json
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from analysis.tasks.item import Item, alike, arranged, drawn
from analysis.tasks.leakage import Rule

SOURCE = "wikipedia"
UNSORTED = "Uncategorized"


def description_items(files: Mapping[str, Path], rule: Rule, rng: np.random.Generator, options: int) -> Iterator[Item]:
    """``Abstract expressionism:`` and its description among those of other articles of the same topic."""
    articles = [article for article in _articles(files[SOURCE]) if article["topic"] != UNSORTED]
    pools: dict[str, list[str]] = defaultdict(list)
    for article in articles:
        pools[article["topic"]].append(article["description"])
    for article in _shuffled(articles, rule, rng):
        title, right = article["title"], article["description"]
        if alike(title, right):
            continue
        pool = {text.lower(): text for text in drawn(rng, pools[article["topic"]], 8 * options)}
        wrong = [w for w in pool.values() if not alike(w, title) and not _includes(right, w)][: options - 1]
        if len(wrong) == options - 1:
            arrangement = arranged(rng, right, wrong)
            yield Item(f"{SOURCE}:{title}", title, *arrangement, prompt=f"{title}:", evidence=right)


def topic_items(files: Mapping[str, Path], rule: Rule, rng: np.random.Generator, options: int) -> Iterator[Item]:
    """``Abstract expressionism belongs to the topic``: all topics are options, whatever ``options`` is."""
    articles = [article for article in _articles(files[SOURCE]) if article["topic"] != UNSORTED]
    topics = sorted({article["topic"] for article in articles})
    for article in _shuffled(articles, rule, rng):
        title, right = article["title"], article["topic"]
        arrangement = arranged(rng, right, [topic for topic in topics if topic != right])
        yield Item(f"{SOURCE}:{title}", title, *arrangement, prompt=f"{title} belongs to the topic")


def _articles(wheel: Path) -> list[dict]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("summaries_en-us.json"))
        found = json.loads(archive.read(name)).values()
    return [article for article in found if article["description"] and article["topic"]]


def _shuffled(articles: list[dict], rule: Rule, rng: np.random.Generator) -> Iterator[dict]:
    """Articles that may be asked about, each title once, in random order."""
    asked: set[str] = set()
    for i in rng.permutation(len(articles)):
        headword = articles[i]["title"].lower().strip()
        if headword not in asked and rule.allows(SOURCE, headword):
            asked.add(headword)
            yield articles[i]


def _includes(one: str, other: str) -> bool:
    """Whether the words of one description are all among the other's: both may then be right."""
    words, others = set(one.lower().split()), set(other.lower().split())
    return words <= others or others <= words
