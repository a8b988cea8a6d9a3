"""Reads the dictionaries that Debian packages for dictd: an index of headwords, and entries in one gzip file."""

import gzip
import re
import string
from collections.abc import Iterator
from pathlib import Path

from sbp_bayes.documents.debian import open_package
from sbp_bayes.documents.dictionaries import Entry, sentences
from sbp_bayes.errors import UserError

DIGITS = {digit: i for i, digit in enumerate(string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/")}
LINK = re.compile(r"\{\(?([^{}]*?)\)?\}")
NOTE = re.compile(r"^(\(\d{4}-\d\d-\d\d\)|\[[^\[\]]*\?\]|Address: .*)$")


def read_dictd(package: Path, name: str) -> Iterator[Entry]:
    """The entries of dictionary ``name``, each once, under the first of its headwords; one sentence a sense.

    What stands beside the headword (pronunciation, part of speech), dates and editors' questions are left out, and
    links lose their braces. UserError for a package without the dictionary.
    """
    with open_package(package) as archive:
        try:
            index = archive.extractfile(f"./usr/share/dictd/{name}.index").read().decode()
            text = gzip.decompress(archive.extractfile(f"./usr/share/dictd/{name}.dict.dz").read())
        except (KeyError, OSError, EOFError, UnicodeDecodeError) as error:
            raise UserError(f"{package}: no dictionary {name} in it ({error})") from error
    seen: set[int] = set()
    for line in index.splitlines():
        word, start, size = line.split("\t")[:3]
        first = _number(start)
        if word.startswith(("00-database", "00database")) or first in seen:
            continue
        seen.add(first)
        yield _entry(text[first : first + _number(size)].decode())


def _number(digits: str) -> int:
    """dictd's numbers: base 64, most significant digit first."""
    value = 0
    for digit in digits:
        value = value * 64 + DIGITS[digit]
    return value


def _entry(block: str) -> Entry:
    """The first line is the headword; up to the first blank line come other headwords, pronunciation, part of speech.

    Where there is no blank line, all after the first is text.
    """
    lines = [line.rstrip() for line in block.splitlines()]
    head, _, body = "\n".join(lines).strip().partition("\n\n")
    headword, _, rest = head.partition("\n")
    plain = [" ".join(LINK.sub(r"\1", paragraph).split()) for paragraph in (body or rest).split("\n\n")]
    text = " ".join(part for part in plain if part and not NOTE.match(part))
    return Entry(headword.lower().strip(), [("", sentence) for sentence in sentences(text)])
