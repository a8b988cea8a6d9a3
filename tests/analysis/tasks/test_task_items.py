"""Items made of tiny dictionaries: one right answer, no option twice, a uniform place, what may be asked."""

import shutil
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_lexicon import HEADWORDS, gloss, tiny_packages

from analysis.tasks.catalogue import TASKS
from analysis.tasks.item import Item, alike, arranged, baselines, chance, drawn
from analysis.tasks.leakage import SEEN, UNSEEN, Rule, Training, copied
from analysis.tasks.wordnet_graph import WordNetGraph
from sbp_bayes.seeds import numpy_generator

NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb"))
    if name == "lexicon-acronym"
    else name
    for name in TASKS
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return tiny_packages(tmp_path_factory.mktemp("packages"))


def made(packages, name, rule=None, seed=0) -> list[Item]:
    files = {part: packages[part] for part in TASKS[name].packages if part in packages}
    return list(TASKS[name].items(files, rule or Rule(), numpy_generator("test", seed), 4))


def training(headwords, real) -> Training:
    return Training({source: frozenset(own) for source, own in headwords.items()}, frozenset(real), (), ())


@pytest.mark.parametrize("name", NAMES)
def test_options_differ_and_the_right_one_is_where_it_is_said(packages, name):
    items = made(packages, name)
    assert len(items) >= 30
    assert len({item.item_id for item in items}) == len({item.headword for item in items}) == len(items)
    graph = WordNetGraph.read(packages["wordnet"])
    for item in items:
        assert len({option.casefold() for option in item.options}) == len(item.options)
        assert len(item.options) == (3 if name == "lexicon-topic" else 4)
        assert [is_right(graph, name, item, option) for option in item.options].count(True) == 1
        assert is_right(graph, name, item, item.options[item.answer])


def is_right(graph, name, item, option) -> bool:
    """Whether an option is true, by the sources themselves."""
    if name == "lexicon-definition":
        dictionary = item.item_id.partition(":")[0]
        return gloss(option, dictionary) in item.ending
    if name == "lexicon-hypernym":
        return option in graph.words(graph.ancestors(graph.senses[item.headword][0]))
    if name == "lexicon-synonym":
        return option in graph.synsets[graph.senses[item.headword][0]].words
    if name == "lexicon-description":
        return gloss(item.headword.lower(), "description").startswith(option)
    if name == "lexicon-topic":
        return ("Arts", "History", "Geography")[(HEADWORDS.index(item.headword.lower()) - 100) % 3] == option
    return option == item.evidence


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_asks_the_same(packages, name):
    assert made(packages, name) == made(packages, name)
    assert made(packages, name) != made(packages, name, seed=1)


def test_the_right_answer_is_anywhere_equally_often():
    rng = numpy_generator("places")
    places = Counter(arranged(rng, "right", ["a", "b", "c"])[1] for _ in range(4000))
    assert all(abs(places[i] - 1000) < 5 * (4000 * 0.25 * 0.75) ** 0.5 for i in range(4))
    options, answer = arranged(rng, "right", ["a", "b", "c"])
    assert options[answer] == "right"


def test_wrong_options_are_any_members_equally_often():
    rng = numpy_generator("draws")
    counts = Counter(word for _ in range(2000) for word in drawn(rng, list("abcdef"), 3))
    assert all(abs(counts[letter] - 1000) < 5 * (2000 * 0.25) ** 0.5 for letter in "abcdef")
    assert drawn(rng, [], 3) == [] and sorted(drawn(rng, ["a"], 3)) == ["a"]


def test_what_gives_an_option_away_is_seen():
    assert alike("cup", "a cup of tea")
    assert alike("subprior", "the vicegerent of a prior")
    assert alike("illuminate", "an illumination")
    assert not alike("cup", "a small vessel")


@pytest.mark.parametrize("name", ["lexicon-definition", "lexicon-description", "lexicon-topic"])
def test_unseen_headwords_are_in_no_training_document(packages, name):
    read = training({"gcide": HEADWORDS[:60], "wordnet": HEADWORDS[:30], "wikipedia": HEADWORDS[150:180]}, [])
    items = made(packages, name, Rule(UNSEEN, read))
    asked = {item.headword.lower() for item in items}
    assert asked and asked.isdisjoint(HEADWORDS[:60]) and asked.isdisjoint(HEADWORDS[150:180])
    if name == "lexicon-definition":
        assert {option for item in items for option in item.options}.isdisjoint(read.all_headwords)


def test_seen_headwords_are_asked_about_by_a_source_that_was_not_read(packages):
    read = training({"gcide": HEADWORDS[:150], "wordnet": HEADWORDS[:80]}, HEADWORDS[:120])
    items = made(packages, "lexicon-definition", Rule(SEEN, read))
    found = {tuple(item.item_id.split(":")) for item in items}
    assert {word for _, word in found} <= set(HEADWORDS[:120])
    # No document of D is from Wikipedia, but its leads name their subject.
    assert {source for source, _ in found} == {"wordnet"}
    assert all(word not in HEADWORDS[:80] for _, word in found)


def test_options_of_relations_were_all_read_or_all_not(packages):
    read = training({"wordnet": HEADWORDS[::2]}, [])
    items = made(packages, "lexicon-synonym", Rule(UNSEEN, read))
    assert items
    assert all(len({option in read.all_headwords for option in item.options}) == 1 for item in items)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from("abcd"), max_size=14), st.lists(st.sampled_from("abcd"), max_size=30))
def test_a_copy_is_a_run_of_eight_words_or_a_whole_short_phrase(phrase, text):
    size = min(8, len(phrase))
    runs = [phrase[i : i + size] for i in range(len(phrase) - size + 1)]
    windows = [text[i : i + size] for i in range(len(text) - size + 1)]
    expected = size >= 3 and any(run in windows for run in runs)
    assert copied([" ".join(phrase)], ["x y", ", ".join(text).upper()]) == [expected]


def test_no_answer_is_right_too_often(packages):
    answers = Counter(item.options[item.answer] for item in made(packages, "lexicon-hypernym"))
    assert max(answers.values()) == 3


def test_baselines_read_no_question():
    items = [
        Item("1", "x", ("a", "bb", "ccc", "dddd"), 0),
        Item("2", "x", ("a", "bb", "cc", "d"), 1),
        Item("3", "x", ("a", "bb", "ccc", "dddd"), 0),
    ]
    found = baselines(items)
    assert chance(items) == 0.25
    assert found["shortest option"] == pytest.approx((1 + 0 + 1) / 3)
    assert found["longest option"] == pytest.approx((0 + 1 / 2 + 0) / 3)
    # Among the others "a" and "bb" are right once each for the first and third item, "a" twice for the second.
    assert found["commonest answer"] == pytest.approx((1 / 2 + 0 + 1 / 2) / 3)


def test_an_oracle_is_always_right_and_a_guess_as_often_as_chance_says(packages):
    items = made(packages, "lexicon-definition")
    rng = np.random.default_rng(0)
    guesses = [rng.integers(len(item.options), size=200) == item.answer for item in items]
    share = float(np.mean(guesses))
    assert abs(share - chance(items)) < 5 * (0.25 * 0.75 / (200 * len(items))) ** 0.5
