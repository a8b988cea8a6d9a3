"""Acronym to expansion, from V.E.R.A."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from analysis.tasks.item import Item, arranged
from analysis.tasks.leakage import Rule
from sbp_bayes.documents.dictd import read_dictd

SOURCE = "vera"
REMARK = re.compile(r"\s*\([^()]*\)|,?\s*\"[^\"]*\"")
ACRONYM = re.compile(r"[a-z]{3,6}")
EXPANSION = re.compile(r"[A-Za-z][A-Za-z' -]*")


def acronym_items(files: Mapping[str, Path], rule: Rule, rng: np.random.Generator, options: int) -> Iterator[Item]:
    """``ABEND stands for``: acronyms of 3 to 6 letters, each once, in random order.

    Wrong expansions are those of acronyms of the same length and first letter that share most letters, place by place.
    Capitals are taken out, which in V.E.R.A. spell the acronym; initials still help whoever can spell.
    """
    expansions: dict[str, list[str]] = defaultdict(list)
    for entry in read_dictd(files[SOURCE], SOURCE):
        text = REMARK.sub("", entry.senses[0][1]).strip(" .,;") if entry.senses else ""
        if ACRONYM.fullmatch(entry.headword) and EXPANSION.fullmatch(text) and len(text.split()) > 1:
            expansions[entry.headword].append(text.lower())
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for acronym in expansions:
        groups[len(acronym), acronym[0]].append(acronym)
    acronyms = [acronym for acronym in expansions if rule.allows(SOURCE, acronym)]
    for i in rng.permutation(len(acronyms)):
        acronym = acronyms[i]
        own, group = expansions[acronym], groups[len(acronym), acronym[0]]
        shuffled = [group[j] for j in rng.permutation(len(group)) if group[j] != acronym]
        nearest = sorted(shuffled, key=lambda other: -_letters_shared(acronym, other))
        texts = dict.fromkeys(expansions[other][0] for other in nearest)
        wrong = [text for text in texts if text not in own][: options - 1]
        if len(wrong) == options - 1:
            right = own[int(rng.integers(len(own)))]
            prompt = f"{acronym.upper()} stands for"
            yield Item(f"vera:{acronym}", acronym, *arranged(rng, right, wrong), prompt=prompt, evidence=right)


def _letters_shared(one: str, other: str) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))
