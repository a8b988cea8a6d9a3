"""Cuts a long text into parts, at white space where there is any."""

import re

SPACE = re.compile(r"\s*")
WORD_WITH_SPACE = re.compile(r"\s*\S+\s*")


def cut(text: str, limit: int) -> list[str]:
    """Parts of at most ``limit`` characters that together hold every word, as few as greed finds, without space around.

    A part ends at the last paragraph, else line, else word that still fits; a word longer than the limit is cut.
    """
    assert limit >= 1, limit
    parts, start = [], _skip_space(text, 0)
    while start < len(text):
        end = len(text) if len(text) - start <= limit else _end(text, start, limit)
        parts.append(text[start:end].rstrip())
        start = _skip_space(text, end)
    return parts


def _skip_space(text: str, start: int) -> int:
    return SPACE.match(text, start).end()


def _end(text: str, start: int, limit: int) -> int:
    """Where a part that starts at ``start`` ends; a paragraph or line that would leave half the part empty is cut."""
    for marks, least in ((("\n\n",), limit // 2), (("\n",), limit // 2), ((" ", "\n", "\t"), 1)):
        found = max(text.rfind(mark, start + least, start + limit + 1) for mark in marks)
        if found > start:
            return found
    return start + limit


def cut_words(text: str, limit: int) -> list[str]:
    """Parts of at most ``limit`` words, without space around."""
    words = WORD_WITH_SPACE.findall(text)
    return ["".join(words[start : start + limit]).strip() for start in range(0, len(words), limit)]
