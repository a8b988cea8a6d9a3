import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_text import cleaned

from sbp_bayes.documents.parts import cut, cut_words
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.text_files import TextDocument
from sbp_bayes.documents.text_lines import Unreadable
from sbp_bayes.documents.text_source import TextSource
from sbp_bayes.errors import UserError
from sbp_bayes.pairing.terms import WORD

TINY = SplitSizes(2, 1, 1, 4)
ENGLISH = "the cat that was in the house of the king is not here and it has to be found by the men who are with him"
GERMAN = "die Katze die in dem Haus von dem König war ist nicht hier und sie muss von den Männern gefunden werden mit"


class Documents:
    """A source of given documents: texts, or (text, concept), or Unreadable."""

    name = "given"
    pairing_rule = "similarity"

    def __init__(self, *items, ids=None):
        self.items, self.ids = items, ids
        self.has_concepts = any(isinstance(item, tuple) for item in items)

    def read(self):
        for i, item in enumerate(self.items):
            if isinstance(item, Unreadable):
                yield item
            else:
                text, concept = item if isinstance(item, tuple) else (item, None)
                doc_id = self.ids[i] if self.ids else f"d{i}"
                yield doc_id, TextDocument(doc_id, text, "given", concept)


def words(n, first=0):
    return " ".join(f"w{i}" for i in range(first, first + n))


def kept_and_dropped(source, sizes=TINY, **clean):
    """Ids of the documents in splits, and id -> (reason, kept twin) of the others."""
    found = cleaned(source, sizes, **clean)
    ids = {doc_id for table in found.splits.values() for doc_id in table["doc_id"].to_pylist()}
    return ids, {row["doc_id"]: (row["reason"], row["kept"]) for row in found.dropped.to_pylist()}


def test_every_document_is_in_a_split_or_in_the_list_of_the_dropped():
    items = [words(20, 100 * i) for i in range(6)] + ["", "short", words(20, 100), GERMAN, words(300, 5000)]
    clean = dict(min_characters=10, max_characters=1000, long_documents="drop", languages=["en"])
    source = Documents(*items[:6], ENGLISH, *items[6:])
    source.items = tuple(f"{ENGLISH} {item}" if i < 6 else item for i, item in enumerate(source.items))
    ids, dropped = kept_and_dropped(source, SplitSizes(2, 1, 1, 5), **clean)
    assert len(ids) + len(dropped) == len(source.items)
    assert not ids & dropped.keys()
    assert {doc_id: reason for doc_id, (reason, _) in dropped.items()} == {
        "d7": "empty",
        "d8": "too short",
        "d9": "another language",
        "d10": "another language",
        "d11": "too long",
    }


def test_what_cannot_be_read_stops_unless_it_is_to_be_skipped():
    items = [words(9, i) for i in range(6)]
    source = Documents(*items, Unreadable("a.jsonl: line 7 is not JSON"))
    with pytest.raises(UserError, match=r"^a\.jsonl: line 7 is not JSON$"):
        cleaned(source, TINY)
    found = cleaned(source, TINY, on_bad="skip")
    assert found.statistics["unreadable"] == 1
    assert found.dropped.to_pylist()[0]["detail"] == "a.jsonl: line 7 is not JSON"


def test_an_id_that_is_there_twice_stops_or_keeps_the_first():
    ids = ["a", "b", "c", "d", "e", "f", "b"]
    source = Documents(*(words(9, i) for i in range(7)), ids=ids)
    with pytest.raises(UserError, match="given: two documents have the id 'b'"):
        cleaned(source, TINY)
    kept, dropped = kept_and_dropped(source, on_bad="skip")
    assert dropped == {"b": ("ids that are there already", "b")}
    assert len(kept) == 6


def test_exact_copies_name_the_one_that_is_kept():
    kept, dropped = kept_and_dropped(Documents("a b", "c", "a  b\n", "d", "e", "f", "a b", "g", "h"), TINY)
    assert dropped == {"d2": ("exact copies", "d0"), "d6": ("exact copies", "d0")}
    assert "d0" not in dropped and kept <= {"d0", "d1", "d3", "d4", "d5", "d7", "d8"}


def test_a_very_long_document_stops_is_split_or_dropped():
    long = " ".join(["word"] * 2_500_000)  # 12.5 million characters
    source = Documents(*(words(9, i) for i in range(6)), long)
    with pytest.raises(UserError, match=r"^d6: 12,499,999 characters, corpus\.clean\.max_characters allows 100,000"):
        cleaned(source, TINY)
    assert kept_and_dropped(source, long_documents="drop")[1] == {"d6": ("too long", None)}
    found = cleaned(source, TINY, long_documents="split")
    assert found.statistics["documents or parts read"] == 6 + 125
    assert found.statistics["groups"] == 7  # the parts stay together
    assert found.statistics["exact copies"] == 124


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="ab \n", max_size=80), st.integers(1, 12))
def test_parts_hold_every_letter_within_the_limit(text, limit):
    parts = cut(text, limit)
    assert all(part == part.strip() and 0 < len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    if all(len(word) <= limit for word in text.split()):
        assert [word for part in parts for word in part.split()] == text.split()


def test_parts_end_at_paragraphs_and_lines_where_these_are_near():
    assert cut("one two\n\nthree four", 12) == ["one two", "three four"]
    assert cut("one two\nthree four", 12) == ["one two", "three four"]
    assert cut("a\n\nbcd efgh ij", 8) == ["a\n\nbcd", "efgh ij"]
    assert cut_words(" one two\nthree ", 2) == ["one two", "three"]


def edited(text, share, rng):
    """The text with a share of its words replaced."""
    found = text.split()
    for i in np.flatnonzero(rng.random(len(found)) < share):
        found[i] = f"x{rng.integers(10**6)}"
    return " ".join(found)


def shingle_set(text, n):
    found = WORD.findall(text.lower())
    return {tuple(found[i : i + n]) for i in range(max(len(found) - n, 0) + 1)}


def jaccard(a, b, n):
    a, b = shingle_set(a, n), shingle_set(b, n)
    return len(a & b) / len(a | b)


def test_near_duplicates_are_dropped_with_their_twin_and_leave_no_leak_between_splits():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"v{k}" for k in rng.integers(0, 3000, 120)) for _ in range(150)]
    copies = [edited(texts[i], share, rng) for i in range(60) for share in (0.002, 0.01)]
    order = rng.permutation(len(texts) + len(copies))
    everything = [(texts + copies)[i] for i in order]
    found = cleaned(Documents(*everything), SplitSizes(40, 20, 20, 100), near_duplicates=0.6, shingle=5)
    named = {f"d{i}": text for i, text in enumerate(everything)}
    near = [row for row in found.dropped.to_pylist() if row["reason"] == "near-duplicates"]
    dropped = {row["doc_id"] for row in found.dropped.to_pylist()}
    for row in near:
        assert row["kept"] not in dropped
        exact = jaccard(named[row["doc_id"]], named[row["kept"]], 5)
        assert exact >= 0.6 and abs(row["similarity"] - exact) < 1e-6
        assert int(row["kept"][1:]) < int(row["doc_id"][1:])
    kept = [text for name, text in named.items() if name not in dropped]
    similar = [(a, b) for a in range(len(kept)) for b in range(a) if jaccard(kept[a], kept[b], 5) >= 0.6]
    assert len(near) > 40 and len(dropped) > 100
    assert not similar
    splits = {name: set(table["text"].to_pylist()) for name, table in found.splits.items()}
    assert not splits["oracle"] & splits["heldout"] and splits["real"] <= splits["oracle"]


def test_near_duplicates_stay_where_nothing_is_said_of_them():
    text = words(50)
    kept, dropped = kept_and_dropped(Documents(text, f"{text} more", *(words(9, 100 * i) for i in range(1, 5))))
    assert not dropped and len(kept) == 6


def shards(tmp_path, rows):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": str(tmp_path), "concept_column": "topic", "max_words": 4}


@pytest.mark.parametrize("by_concept", [True, False])
def test_nothing_leaks_between_splits(tmp_path, by_concept):
    """By concept no concept is in two splits; by document no document's parts are, and concepts are."""
    rows = [{"text": words(10, 10 * i), "topic": f"t{i % 30}"} for i in range(150)]
    source = TextSource.from_options(shards(tmp_path, rows), 0)
    found = cleaned(source, SplitSizes(120, 60, 60, 240), by_concept=by_concept)
    for group, whole in (("concept", by_concept), ("doc_id", True)):
        seen = {
            name: {value.partition("~")[0] for value in found.splits[name][group].to_pylist()}
            for name in ("oracle", "validation", "heldout")
        }
        shared = seen["oracle"] & seen["heldout"] or seen["validation"] & (seen["oracle"] | seen["heldout"])
        assert bool(shared) != whole
    assert min(len(table) for table in found.splits.values()) >= 54
