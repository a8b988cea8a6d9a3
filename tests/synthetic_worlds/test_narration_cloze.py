"""Cloze questions: their exact answers are right as often as they say, and wrong answers are not."""

import pytest
import torch

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.narration_cloze import accuracy, continuing_questions, expected_accuracy, related_questions
from synthetic_worlds.narration_text import parse

N = 1500


def narration(**dials):
    return make_world("narration", seed=1, **dials)


@pytest.fixture(scope="module")
def world():
    return narration()


def asked(world, kind, options=4, n=N):
    generator = torch.Generator().manual_seed(0)
    concepts = world.sample_concepts(n, generator)
    related = [world.sample_given_concepts(concepts, generator) for _ in range(2)]
    if kind == "continuing":
        return related, continuing_questions(world, related[0], generator, options)
    return related, related_questions(world, related, generator, options)


@pytest.mark.parametrize("kind", ["continuing", "related"])
def test_exact_answers_are_right_as_often_as_they_say(world, kind):
    _, questions = asked(world, kind)
    expected, se = expected_accuracy(questions)
    right, right_se = accuracy(questions, [question.best for question in questions])
    assert abs(right - expected) < 4 * (se**2 + right_se**2) ** 0.5
    for level in (0.0, 0.3, 0.7):  # calibrated in every band of confidence, not on average alone
        band = [q for q in questions if level <= max(q.probabilities) < level + 0.35]
        claimed, (share, share_se) = expected_accuracy(band)[0], accuracy(band, [q.best for q in band])
        assert abs(share - claimed) < 4 * share_se + 0.01
    worst = [min(range(4), key=question.probabilities.__getitem__) for question in questions]
    assert accuracy(questions, worst)[0] < expected - 0.2


def test_the_truth_is_among_the_options_and_its_place_says_nothing(world):
    related, questions = asked(world, "continuing", options=3)
    persons = world.attributes_of(related[0].latents["concept"])
    names = ["profession", "employer", "city", "university", "birthplace", "hobby"]
    for question, person in zip(questions, persons.tolist(), strict=True):
        i = names.index(question.attribute)
        form = " " + world.grammar.form(i, person[i]) + "."
        assert question.options[question.answer] == form and len(set(question.options)) == 3
        assert sum(question.probabilities) == pytest.approx(1)
    places = torch.bincount(torch.tensor([question.answer for question in questions]), minlength=3)
    assert (places - N / 3).abs().max() < 4 * (N * 2 / 9) ** 0.5
    assert {question.attribute for question in questions} == set(names)


def test_a_model_of_single_texts_that_is_exact_answers_as_exact_bayes(world):
    """The ending that makes the likeliest text is the best option, and every ending makes a text of the world."""
    related, questions = asked(world, "continuing", n=150)
    for row, question in enumerate(questions):
        texts = [f"{question.context[0]} {question.prompt}{option}" for option in question.options]
        parsed = parse(world, texts)
        assert parsed.valid.all()
        scores = exact.log_evidence(world, parsed.tokens)
        assert torch.isfinite(scores).all()
        assert scores.argmax() == question.best or scores.max() - scores[question.best] < 1e-9
        assert torch.equal(parsed.tokens[0, :-1], related[0].tokens[row, :-1])


def test_related_questions_open_a_new_text(world):
    related, questions = asked(world, "related", n=60)
    for row, question in enumerate(questions):
        assert question.context == tuple(world.texts(some)[row] for some in related) and not question.continues
        starts = parse(world, [question.prompt + option for option in question.options], length=1)
        assert starts.valid.all()


def test_more_documents_make_better_answers_and_null_makes_none(world):
    generator = torch.Generator().manual_seed(0)
    concepts = world.sample_concepts(800, generator)
    related = [world.sample_given_concepts(concepts, generator) for _ in range(4)]
    one, four = (expected_accuracy(related_questions(world, related[:m], generator))[0] for m in (1, 4))
    assert 0.8 < one < 0.92 and four > 0.97
    nothing = narration(misreport=1.0)
    assert expected_accuracy(asked(nothing, "related", n=50)[1])[0] == pytest.approx(0.25)


def test_wrong_settings_are_named(world):
    documents = world.sample(2, torch.Generator().manual_seed(0))
    with pytest.raises(WorldError, match="options=6; expected 2 to values=5"):
        continuing_questions(world, documents, torch.Generator(), options=6)
    short = narration(sentences=1)
    with pytest.raises(WorldError, match="sentences=1; questions that continue"):
        continuing_questions(short, short.sample(2, torch.Generator()), torch.Generator())
