"""Sentence symbols as English and back. The grammar is unambiguous: every sentence has exactly one reading.

A narration is sentences joined by spaces. Each renders one symbol and refers to the person by name or by pronoun; the
first always has the name. So a text and (name, symbols, which sentences have the name) determine each other.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from synthetic_worlds.narration_templates import ASIDES, ATTRIBUTES, HER_NAMES, HIS_NAMES, PRONOUNS

NAMES = (*HER_NAMES, *HIS_NAMES)
PERSON_SLOT = re.compile(r"\{(She|she|Her|her|obj|self)\}")
SENTENCE_END = re.compile(r"(?<=\.) ")


@dataclass(frozen=True)
class Narrative:
    """What a text says: index of the first name, sentence symbols, and which sentences have the name (first: True)."""

    name: int
    symbols: tuple[int, ...]
    named: tuple[bool, ...]


@dataclass(frozen=True)
class Grammar:
    """values: for each attribute the indices of its values in use; templates: how many of each attribute's are in use.

    Symbols: (attribute * K + value) * templates + template, then the asides.
    """

    values: tuple[tuple[int, ...], ...]
    templates: int

    def form(self, attribute: int, value: int, form: int = 0) -> str:
        """A value in words, in the first of its attribute's forms or another."""
        return ATTRIBUTES[attribute].values[self.values[attribute][value]][form]

    @cached_property
    def patterns(self) -> list[str]:
        """(V,) sentences of all symbols with the slots of the person still open."""
        facts = []
        for i, values in enumerate(self.values):
            attribute = ATTRIBUTES[i]
            for value in values:
                for template in attribute.templates[: self.templates]:
                    for slot, words in zip(attribute.forms, attribute.values[value], strict=True):
                        template = template.replace(f"{{{slot}}}", words)
                    facts.append(template)
        return [*facts, *ASIDES]

    @cached_property
    def sentences(self) -> list[list[str]]:
        """(names + 2, V) finished sentences: by each name, then by "she", then by "he"."""
        named = [[fill(pattern, name_pronouns(n), NAMES[n]) for pattern in self.patterns] for n in range(len(NAMES))]
        return [*named, *([fill(pattern, pronouns, None) for pattern in self.patterns] for pronouns in PRONOUNS)]

    @cached_property
    def readings(self) -> dict[str, tuple[int, int]]:
        """Sentence -> (row, symbol) of `sentences`."""
        readings = {
            text: (row, symbol) for row, texts in enumerate(self.sentences) for symbol, text in enumerate(texts)
        }
        assert len(readings) == len(self.sentences) * len(self.patterns), "two symbols have the same sentence"
        return readings

    def render(self, narrative: Narrative) -> str:
        """The text of a narrative."""
        by_pronoun = pronoun_row(narrative.name)
        rows = [narrative.name if named else by_pronoun for named in narrative.named]
        return " ".join(self.sentences[row][symbol] for row, symbol in zip(rows, narrative.symbols, strict=True))

    def parse(self, text: str) -> Narrative | None:
        """The narrative that renders as ``text``, whatever its number of sentences; None where there is none."""
        found = [self.readings.get(sentence) for sentence in SENTENCE_END.split(text)]
        if None in found or found[0][0] >= len(NAMES):
            return None
        name = found[0][0]
        if any(row not in (name, pronoun_row(name)) for row, _ in found):
            return None
        return Narrative(name, tuple(symbol for _, symbol in found), tuple(row == name for row, _ in found))

    def cloze(self, attribute: int, name: int, named: bool) -> tuple[str, list[str]]:
        """A sentence on an attribute broken off before the value, and how it may end, one for each value.

        Every ending starts with a space and stops with the sentence: ``("She lives in", [" Bergen.", ...])``.
        """
        start = ATTRIBUTES[attribute].templates[0].split("{" + ATTRIBUTES[attribute].forms[0])[0].rstrip()
        prompt = fill(start, name_pronouns(name), NAMES[name] if named else None)
        return prompt, [f" {self.form(attribute, value)}." for value in range(len(self.values[attribute]))]


def name_pronouns(name: int) -> str:
    """The key in `PRONOUNS` that goes with a first name."""
    return "she" if name < len(HER_NAMES) else "he"


def pronoun_row(name: int) -> int:
    """The row of `Grammar.sentences` that speaks of a person of this first name by pronoun."""
    return len(NAMES) + list(PRONOUNS).index(name_pronouns(name))


def fill(pattern: str, pronouns: str, name: str | None) -> str:
    """``pattern`` with its person slots filled: the first by ``name`` where there is one, the others by pronoun."""
    forms: dict[str, str] = PRONOUNS[pronouns]
    if name is not None:
        pattern = PERSON_SLOT.sub(lambda slot: f"{name}'s" if slot[1] in ("Her", "her") else name, pattern, count=1)
    return PERSON_SLOT.sub(lambda slot: forms[slot[1]], pattern)
