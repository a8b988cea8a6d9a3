import dataclasses

import pytest
import torch

from analysis.question_answering import accuracy, answers, bayes_accuracy, chance
from sbp_bayes.documents.tokenizer import BpeTokenizer
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.narration_cloze import continuing_questions, related_questions


@pytest.fixture(scope="module")
def asked():
    """Continuing and related questions, and a tokenizer of such texts."""
    world, stream = make_world("narration", "easy", seed=0), torch.Generator().manual_seed(0)
    documents = world.sample(300, stream)
    questions = continuing_questions(world, documents, stream), related_questions(world, [documents], stream)
    return *questions, BpeTokenizer.train(world.texts(documents), 400)


@pytest.fixture(scope="module")
def model(asked):
    model = Transformer(model_config("0.1M", asked[2].vocabulary_size))
    model.init(generator("questions"))
    return model


def by_hand(model, tokenizer, question) -> int:
    """The option of the greatest log q given all that stands before it, one option at a time."""
    before = question.context[-1] + " " + question.prompt if question.continues else question.prompt
    read = [] if question.continues else [*tokenizer.encode([question.context[0]])[0], tokenizer.sep]
    prefix = [tokenizer.bos, *read, *tokenizer.encode([before])[0]]
    found = []
    for option in question.options:
        ending = tokenizer.encode([option])[0].tolist()
        tokens = torch.tensor([[*prefix, *ending]])
        with torch.no_grad():
            laws = model.logits(model.hidden(tokens)).double().log_softmax(-1)[0]
        found.append(sum(float(laws[len(prefix) + i - 1, token]) for i, token in enumerate(ending)))
    return max(range(len(found)), key=found.__getitem__)


@pytest.mark.parametrize("kind", [0, 1])
def test_answers_are_the_likeliest_endings(asked, model, kind):
    questions, tokenizer = asked[kind][:25], asked[2]
    assert answers(model, tokenizer, questions) == [by_hand(model, tokenizer, question) for question in questions]


def test_options_may_differ_in_number(asked, model):
    questions, tokenizer = asked[0][:6], asked[2]
    fewer = [dataclasses.replace(q, options=q.options[: 2 + i % 3]) for i, q in enumerate(questions)]
    assert answers(model, tokenizer, fewer) == [by_hand(model, tokenizer, question) for question in fewer]
    assert chance(fewer) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)


def test_bayes_answers_reach_the_bayes_accuracy_and_others_do_not(asked, model):
    for questions in asked[:2]:
        ceiling = bayes_accuracy(questions)
        best = accuracy(questions, [question.best for question in questions])
        assert abs(best.share - ceiling.share) < 4 * best.se
        assert ceiling.chance == 0.25
        untrained = accuracy(questions[:100], answers(model, asked[2], questions[:100]))
        assert untrained.share < ceiling.share - 5 * untrained.se
        assert untrained.n == 100
