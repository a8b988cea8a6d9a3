"""A multiple-choice item, and how options are drawn and put in order."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WORD = re.compile(r"\w+")
STEM = 4  # letters that two words share at their beginning, or that are enough inside another


@dataclass(frozen=True)
class Item:
    """One question.

    item_id: unique within the task; headword: what is asked about; options: each once, in random order; answer: index
    of the right one; prompt: the text before an option, or, where the options themselves are beginnings of texts, "";
    ending: there, the text that follows whichever option is chosen, else ""; evidence: text that would give the answer
    away in a training document, "" where there is none.
    """

    item_id: str
    headword: str
    options: tuple[str, ...]
    answer: int
    prompt: str = ""
    ending: str = ""
    evidence: str = field(default="", compare=False)


def arranged(rng: np.random.Generator, right: str, wrong: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The options in random order, every order equally likely, and the place of the right one."""
    options = [right, *wrong]
    order = rng.permutation(len(options))
    return tuple(options[i] for i in order), int(np.flatnonzero(order == 0)[0])


def drawn(rng: np.random.Generator, pool: Sequence[str], count: int) -> list[str]:
    """``count`` different members of ``pool``, every set of them equally likely; fewer where it has fewer."""
    chosen = rng.choice(len(pool), min(count, len(pool)), replace=False) if pool else []
    return [pool[i] for i in chosen]


def alike(one: str, other: str) -> bool:
    """Whether two texts give each other away: words with the same first four letters, or one inside the other's.

    Asked of the right option and of wrong ones alike, so that a likeness tells nothing of the answer.
    """
    ours, theirs = set(WORD.findall(one.lower())), set(WORD.findall(other.lower()))
    if {word[:STEM] for word in ours} & {word[:STEM] for word in theirs}:
        return True
    one, other = " ".join(ours), " ".join(theirs)
    return any(len(word) >= STEM and word in other for word in ours) or any(
        len(word) >= STEM and word in one for word in theirs
    )


def chance(items: Sequence[Item]) -> float:
    """The accuracy of guessing."""
    return float(np.mean([1 / len(item.options) for item in items]))


def baselines(items: Sequence[Item]) -> dict[str, float]:
    """Accuracies of rules that read no question, ties shared: the shortest option, the longest, the commonest answer.

    The commonest is counted over the other items.
    """
    counts = Counter(item.options[item.answer] for item in items)
    rules = {
        "shortest option": lambda item: [-len(option) for option in item.options],
        "longest option": lambda item: [len(option) for option in item.options],
        "commonest answer": lambda item: [counts[o] - (i == item.answer) for i, o in enumerate(item.options)],
    }
    return {name: float(np.mean([_hit(item, rule(item)) for item in items])) for name, rule in rules.items()}


def _hit(item: Item, values: Sequence[int]) -> float:
    """Whether the greatest value is the right option's; a share of 1 where it is one of several."""
    best = max(values)
    return (values[item.answer] == best) / values.count(best)
