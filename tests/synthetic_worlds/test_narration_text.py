"""Narrations as English: every sentence is one, text and symbols determine each other, and texts have probabilities."""

import itertools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.narration_grammar import NAMES, Grammar, Narrative, pronoun_row
from synthetic_worlds.narration_templates import ASIDES, ATTRIBUTES
from synthetic_worlds.narration_text import log_prob_of_naming, parse, sample_naming, text_log_predictive

QUICK = settings(deadline=None, max_examples=60)
EVERYTHING = Grammar(tuple(tuple(range(len(a.values))) for a in ATTRIBUTES), min(len(a.templates) for a in ATTRIBUTES))


@pytest.fixture(scope="module")
def world():
    return make_world("narration")


def test_there_is_enough_to_say():
    assert len(ATTRIBUTES) >= 6 and len(ASIDES) >= len(ATTRIBUTES)
    for attribute in ATTRIBUTES:
        assert len(attribute.templates) == 12 and len(attribute.values) == 12
        assert attribute.templates[0].endswith(f"{{{attribute.forms[0]}}}.")
    names = [attribute.name for attribute in ATTRIBUTES]
    assert all(a.parent is None or a.parent in names[: names.index(a.name)] for a in ATTRIBUTES)


def test_every_sentence_is_english():
    """One sentence each, capital first, full stop last, no slot left open, articles right, no other pronoun."""
    assert len(EVERYTHING.readings) == len(EVERYTHING.patterns) * (len(NAMES) + 2)
    for sentence, (row, _) in EVERYTHING.readings.items():
        assert re.fullmatch(r"[A-Z][A-Za-z&,' ]+\.", sentence), sentence
        assert "  " not in sentence and not re.search(r"\b(\w+) \1\b", sentence), sentence
        for article, following in re.findall(r"\b(an?) (?!hour)(\w)", sentence, flags=re.IGNORECASE):
            assert (following.lower() in "aeiou") == (article.lower() == "an"), sentence
        by_her = row < 12 or row == pronoun_row(0)
        other = {"he", "his", "him", "himself"} if by_her else {"she", "her", "herself"}
        assert not other & set(re.findall(r"\w+", sentence.lower())), sentence


@QUICK
@given(
    st.integers(0, len(NAMES) - 1),
    st.lists(st.tuples(st.integers(0, len(EVERYTHING.patterns) - 1), st.booleans()), min_size=1, max_size=8),
)
def test_parsing_undoes_rendering(name, sentences):
    """For any symbols whatever, documents of the world or not."""
    symbols, named = zip(*sentences, strict=True)
    narrative = Narrative(name, symbols, (True, *named[1:]))
    text = EVERYTHING.render(narrative)
    assert EVERYTHING.parse(text) == narrative
    assert EVERYTHING.render(EVERYTHING.parse(text)) == text


@QUICK
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.data())
def test_documents_survive_and_damaged_texts_do_not(world_seed, seed, data):
    world = make_world("narration", seed=world_seed, values=3)
    documents = world.sample(4, torch.Generator().manual_seed(seed))
    texts = world.texts(documents)
    parsed = world.parse(texts)
    assert parsed.valid.all() and torch.equal(parsed.tokens, documents.tokens)
    assert all(torch.equal(parsed.latents[key], documents.latents[key]) for key in ("name", "named"))
    assert world.render(parsed.tokens, parsed.latents) == texts
    i = data.draw(st.integers(0, len(texts[0]) - 1))
    broken = [texts[0][:i] + texts[0][i + 1 :], texts[0][:-1] + ",", texts[0] + " ", "", texts[0].rsplit(". ", 1)[0]]
    assert not world.parse(broken).valid.any()


def test_what_belongs_to_someone_else_does_not_parse(world):
    grammar = world.grammar
    she, he = NAMES.index("Maria"), NAMES.index("Daniel")
    first = grammar.sentences[she][0]
    assert grammar.parse(f"{first} {grammar.sentences[pronoun_row(she)][80]}") is not None
    assert grammar.parse(f"{first} {grammar.sentences[pronoun_row(he)][80]}") is None
    assert grammar.parse(f"{first} {grammar.sentences[he][80]}") is None
    assert grammar.parse(grammar.sentences[pronoun_row(she)][0]) is None  # nobody has been named
    longer = " ".join([first] * (world.L + 1))
    assert grammar.parse(longer) is not None and not world.parse([longer]).valid.any()
    assert parse(world, [first], length=1).tokens.tolist() == [[0]]


def test_the_law_of_naming_sums_to_one():
    named = torch.tensor(list(itertools.product([0, 1], repeat=5)))
    log_prob = log_prob_of_naming({"name": torch.zeros(32, dtype=torch.int64), "named": named})
    assert float(log_prob.exp().sum()) * len(NAMES) == pytest.approx(1, abs=1e-12)
    drawn = sample_naming(40_000, 5, torch.Generator().manual_seed(0))
    frequency = torch.bincount((drawn["named"] * 2 ** torch.arange(4, -1, -1)).sum(1), minlength=32) / 40_000
    expected = log_prob.exp() * len(NAMES)
    assert ((frequency - expected).abs() <= 4 * (expected / 40_000).sqrt()).all()
    assert torch.bincount(drawn["name"], minlength=len(NAMES)).min() > 1400


def test_the_probability_of_a_text(world):
    generator = torch.Generator().manual_seed(0)
    concepts = world.sample_concepts(6, generator)
    one, two = (world.sample_given_concepts(concepts, generator) for _ in range(2))
    first, second = world.texts(one), world.texts(two)
    expected = exact.log_predictive(world, two.tokens, one.tokens) + log_prob_of_naming(two.latents)
    torch.testing.assert_close(text_log_predictive(world, second, first), expected)
    expected = exact.log_evidence(world, two.tokens) + log_prob_of_naming(two.latents)
    torch.testing.assert_close(text_log_predictive(world, second), expected)
    assert not torch.allclose(text_log_predictive(world, second, first), expected)


def test_texts_that_are_never_written_have_no_probability(world):
    documents = world.sample(4, torch.Generator().manual_seed(0))
    texts = world.texts(documents)
    twice = {"name": documents.latents["name"], "named": torch.ones_like(documents.latents["named"])}
    never = [texts[0], "Maria is a unicorn.", world.render(documents.tokens, twice)[2], texts[3]]
    possible = torch.tensor([True, False, False, True])
    assert torch.equal(text_log_predictive(world, never) > -torch.inf, possible)
    assert torch.equal(text_log_predictive(world, texts, never) > -torch.inf, possible)
    assert not text_log_predictive(world, texts, never).isnan().any()
    assert (text_log_predictive(world, ["Nothing."]) == -torch.inf).all()
