"""Each measure beside a definition written out by hand, and on the writers that it has to tell from the right one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.quality.diversity import distinct_runs
from analysis.quality.duplicates import exact_duplicates, near_duplicates
from analysis.quality.lengths import length_distance, length_quantiles
from analysis.quality.novelty import found_in_corpus, found_in_own
from analysis.quality.repetition import repeats_a_run
from analysis.quality.words import hashed_words, runs_of

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), min_size=1, max_size=6)
SMALL = settings(deadline=None, max_examples=60)


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@given(TEXTS, st.integers(1, 4))
@SMALL
def test_runs_stay_within_their_document(texts, n):
    runs = runs_of(hashed_words(texts), n)
    assert np.bincount(runs.owners, minlength=len(texts)).tolist() == [len(grams(text, n)) for text in texts]
    assert len(set(runs.hashes.tolist())) == len({gram for text in texts for gram in grams(text, n)})


@given(TEXTS, st.integers(1, 4))
@SMALL
def test_repetition_is_a_run_said_twice(texts, n):
    expected = [len(set(grams(text, n))) < len(grams(text, n)) for text in texts]
    assert repeats_a_run(hashed_words(texts), n).tolist() == expected


@given(TEXTS, TEXTS)
@SMALL
def test_what_is_found_in_a_corpus_is_found_by_hand(texts, corpus):
    batches = [corpus[:2], corpus[2:]]
    found = found_in_corpus(hashed_words(texts), batches, longest=5)
    for n in range(1, 6):
        known = {gram for text in corpus for gram in grams(text, n)}
        assert found.counts[:, n - 1].tolist() == [sum(gram in known for gram in grams(t, n)) for t in texts]


@given(TEXTS, st.randoms(use_true_random=False))
@SMALL
def test_what_is_found_in_d1_is_found_by_hand(texts, random):
    others = random.sample(texts, len(texts))
    found = found_in_own(hashed_words(texts), hashed_words(others), longest=12)
    for n in range(1, 13):
        expected = [sum(gram in set(grams(b, n)) for gram in grams(a, n)) for a, b in zip(texts, others, strict=True)]
        assert found.counts[:, n - 1].tolist() == expected


def test_a_short_document_copied_whole_is_copied_and_an_empty_one_is_not():
    words = hashed_words(["a b c", "a b d", "", "x " * 20])
    found = found_in_corpus(words, [["z a b c", "x " * 12]])
    assert found.copied().tolist() == [True, False, False, False]
    assert found.copied(12).tolist() == [True, False, False, True]
    assert found.longest.tolist() == [3, 2, 0, 12]


def test_repetition_catches_the_repeater(material):
    words = {name: hashed_words(texts) for name, texts in material.written.items()}
    for n in (5, 13):
        assert repeats_a_run(words["repeater"], n).all()
        assert repeats_a_run(words["right"], n).mean() < 0.05


def test_copying_catches_the_copier_and_tells_d1_from_the_rest_of_the_corpus(material):
    d1 = hashed_words(material.d1)
    in_d1 = {k: found_in_own(hashed_words(v), d1) for k, v in material.written.items()}
    in_corpus = {k: found_in_corpus(hashed_words(v), [material.real]) for k, v in material.written.items()}
    copied = {k: (in_d1[k].copied().mean(), in_corpus[k].copied().mean()) for k in in_d1}
    assert copied["copier"] == (1, 1)
    assert copied["of another"][0] < 0.02 and copied["of another"][1] == 1
    assert max(copied["right"]) < 0.02
    assert (in_d1["copier"].longest == d1.lengths).all()
    assert in_d1["copier"].novel(1).value == 0 and in_d1["right"].novel(4).value > 0.8


def test_novelty_catches_the_shuffler_that_no_word_count_can(material):
    words = {name: hashed_words(texts) for name, texts in material.written.items()}
    found = {name: found_in_corpus(words[name], [material.real]) for name in ("right", "shuffler")}
    assert found["right"].novel(1).value == pytest.approx(found["shuffler"].novel(1).value, abs=0.01)
    assert found["right"].novel(2).value < 0.4 < 0.75 < found["shuffler"].novel(2).value
    assert distinct_runs(words["shuffler"], 2, 8000) > 1.3 * distinct_runs(words["right"], 2, 8000)


def test_duplicates_catch_the_writer_of_the_same_few_documents(material):
    assert exact_duplicates(material.written["right"]).mean() == 0
    assert exact_duplicates(material.written["monotonous"]).sum() == 600 - 40
    right, few = (hashed_words(material.written[name]) for name in ("right", "monotonous"))
    assert distinct_runs(few, 3, 8000) < 0.5 * distinct_runs(right, 3, 8000)


def test_near_duplicates_are_those_with_a_word_changed_far_fewer_with_half_of_them(material):
    texts = material.written["right"][:50]
    one_word = [f"{text} also" for text in texts]
    half = [" ".join([*text.split()[: len(text.split()) // 2], *["other"] * 20]) for text in texts]
    found = near_duplicates([*texts, *one_word, *half], 0.8, 5)
    assert found[:50].sum() == 0 and found[50:100].mean() > 0.9 and found[100:].sum() == 0
    assert not exact_duplicates([*texts, *one_word]).any()
    assert exact_duplicates(["a  b", "a b", "a\nb"]).tolist() == [False, True, True]


def test_distinct_runs_depend_on_how_much_is_read_and_read_whole_documents():
    words = hashed_words(["a b a b", "a b a b", "c d"])
    assert distinct_runs(words, 1, 4) == 0.5
    assert distinct_runs(words, 1, 9) == 0.25
    assert distinct_runs(words, 2, 10) == pytest.approx(3 / 7)
    assert np.isnan(distinct_runs(words, 9, 10))


def test_lengths_catch_the_brief(material):
    lengths = {name: hashed_words(texts).lengths for name, texts in material.written.items()}
    real = hashed_words(material.heldout).lengths
    assert length_distance(lengths["brief"], real) > 0.95
    assert length_distance(lengths["right"], real) < 0.1
    assert length_quantiles(np.arange(101))[0.05] == 5
