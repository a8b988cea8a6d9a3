import numpy as np
import pytest
import torch

from analysis.narration_texts import exact_sentence_log_probs, model_sentence_log_probs, related_texts
from sbp_bayes.documents.tokenizer import BpeTokenizer
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator
from sbp_bayes.synthesis.scoring import score
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.narration_text import text_log_predictive


@pytest.fixture(scope="module")
def world():
    return make_world("narration", "medium", seed=0)


@pytest.fixture(scope="module")
def texts(world):
    first = world.texts(world.sample(40, torch.Generator().manual_seed(0)))
    return first, related_texts(world, first, torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tokenizer(texts):
    return BpeTokenizer.train(texts[0], 400)


@pytest.fixture(scope="module")
def model(tokenizer):
    model = Transformer(model_config("0.1M", tokenizer.vocabulary_size))
    model.init(generator("texts"))
    return model


def test_exact_sentences_make_up_the_texts_probability(world, texts):
    first, second = texts
    d1, d2 = world.parse(first).tokens, world.parse(second)
    given = exact_sentence_log_probs(world, d2, d1)
    assert given.shape == (40, world.L)
    assert torch.allclose(given.sum(1), text_log_predictive(world, second, first), atol=1e-10)
    alone = exact_sentence_log_probs(world, d2)
    assert torch.allclose(alone.sum(1), text_log_predictive(world, second), atol=1e-10)


def test_related_texts_say_more_than_chance_of_their_person(world, texts):
    first, second = texts
    related = text_log_predictive(world, second, first) - text_log_predictive(world, second)
    shuffled = text_log_predictive(world, second, first[1:] + first[:1]) - text_log_predictive(world, second)
    assert related.mean() > 1.0 > shuffled.mean()


@pytest.mark.parametrize("related", [False, True])
def test_a_models_sentences_make_up_its_document(world, texts, tokenizer, model, related):
    first, second = texts
    found = model_sentence_log_probs(model, tokenizer, second, first if related else None)
    assert found.shape == (40, world.L)
    prompts = [
        [tokenizer.bos, *tokenizer.encode([d1])[0], tokenizer.sep] if related else [tokenizer.bos] for d1 in first
    ]
    for row, (prompt, text) in enumerate(zip(prompts, second, strict=True)):
        tokens = np.array([*prompt, *tokenizer.encode([text])[0], tokenizer.eos])
        own = score(model, [tokens])[0][len(prompt) - 1 :]
        assert float(found[row].sum()) == pytest.approx(own.sum(), rel=1e-5)
        opening = text[: text.index(". ") + 1]
        length = len(tokenizer.encode([opening])[0])
        assert float(found[row, 0]) == pytest.approx(own[:length].sum(), rel=1e-5)
