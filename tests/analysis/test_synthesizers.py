import itertools
import math

import numpy as np
import pytest
import torch

from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    LabelSwappedSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    TemperedSynthesizer,
    TransformerSynthesizer,
    document_log_probs,
    exact_synthesis,
    sample_token_by_token,
    wrong_synthesizers,
)
from analysis.world_source import WorldSource
from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world


@pytest.fixture(scope="module")
def world():
    return make_world("bow", vocabulary=3, length=3, concepts=3, overlap=0.2, seed=1)


@pytest.fixture(scope="module")
def transformer(world):
    tokenizer = SymbolTokenizer(world.V)
    model = Transformer(model_config("0.1M", tokenizer.vocabulary_size)).init(generator("test model"))
    return TransformerSynthesizer(model, tokenizer, batch=10)


def all_documents(world) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(world.V), repeat=world.L)))


def law(synthesizer, world, *given: list[int]) -> torch.Tensor:
    """q(d2 | given) of every document d2."""
    documents = all_documents(world)
    rows = [torch.tensor([g]).expand(len(documents), -1) for g in given]
    return document_log_probs(synthesizer, documents, *rows).exp()


@pytest.mark.parametrize("index", range(7))
def test_every_law_over_documents_sums_to_one(world, index):
    synthesizer = [ExactSynthesizer(world), *wrong_synthesizers(world)][index]
    assert law(synthesizer, world, [0, 1, 2]).sum() == pytest.approx(1, abs=1e-12)


def test_each_is_the_law_it_says_it_is(world):
    d1 = [2, 2, 0]
    given, documents = torch.tensor([d1]), all_documents(world)
    posterior = exact.concept_log_posterior(world, given).exp()[0]
    by_concept = world.log_likelihood(documents).exp()
    assert torch.allclose(law(ExactSynthesizer(world), world, d1), by_concept @ posterior, atol=1e-12)
    assert torch.allclose(law(PriorSynthesizer(world), world, d1), by_concept @ world.prior, atol=1e-12)
    assert torch.allclose(law(MapSynthesizer(world), world, d1), by_concept[:, posterior.argmax()], atol=1e-12)
    swapped = by_concept @ posterior.roll(1)
    assert torch.allclose(law(LabelSwappedSynthesizer(world), world, d1), swapped, atol=1e-12)
    copy = (documents == given).all(1).double()
    copying = 0.3 * copy + 0.7 * by_concept @ posterior
    assert torch.allclose(law(CopyingSynthesizer(world, 0.3), world, d1), copying, atol=1e-12)


def test_copying_of_two_documents_copies_each_half_as_often(world):
    d1, d2 = [0, 1, 2], [2, 1, 0]
    documents = all_documents(world)
    fresh = law(ExactSynthesizer(world), world, d1, d2)
    copies = sum((documents == torch.tensor(d)).all(1).double() for d in (d1, d2))
    assert torch.allclose(law(CopyingSynthesizer(world, 0.4), world, d1, d2), 0.2 * copies + 0.6 * fresh, atol=1e-12)


def test_temperature_raises_each_next_token_law_to_a_power(world):
    documents = all_documents(world)
    given = torch.tensor([[0, 0, 1]]).expand(len(documents), -1)
    warm = exact.next_token_log_probs(world, documents, given).exp() ** (1 / 0.7)
    expected = (warm / warm.sum(-1, keepdim=True)).log()
    tempered = TemperedSynthesizer(ExactSynthesizer(world), 0.7).next_token_log_probs(documents, given)
    assert torch.allclose(tempered, expected, atol=1e-12)


@pytest.mark.parametrize("index", range(7))
def test_samples_follow_the_law(world, index):
    synthesizer = [ExactSynthesizer(world), *wrong_synthesizers(world)][index]
    n, d1 = 6000, [0, 1, 2]
    drawn = synthesizer.sample(generator("test draws", index), torch.tensor([d1]).expand(n, -1))
    codes = (drawn * torch.tensor([9, 3, 1])).sum(1)
    frequencies = torch.bincount(codes, minlength=27) / n
    expected = law(synthesizer, world, d1)
    assert ((frequencies - expected).abs() <= 4.5 * (expected * (1 - expected) / n).sqrt() + 1e-12).all()


def test_transformer_reads_bos_d1_sep_d2(world, transformer):
    d1, d2 = torch.tensor([[0, 1, 2]]), torch.tensor([[2, 2, 1]])
    bos, sep = transformer.tokenizer.bos, transformer.tokenizer.sep
    logits = transformer.model(torch.tensor([[bos, 0, 1, 2, sep, 2, 2]]))[:, 4:]
    expected = torch.log_softmax(logits.double(), -1)[..., :3]
    found = transformer.next_token_log_probs(d2, d1)
    assert torch.allclose(found, expected, atol=1e-6)
    assert (found.exp().sum(-1) < 1).all()  # mass on special tokens is lost, not spread over the symbols
    alone = transformer.model(torch.tensor([[bos, 2, 2]]))
    assert torch.allclose(
        transformer.next_token_log_probs(d2), torch.log_softmax(alone.double(), -1)[..., :3], atol=1e-6
    )


def test_transformer_answers_the_same_in_batches(world, transformer):
    documents = all_documents(world)
    whole = TransformerSynthesizer(transformer.model, transformer.tokenizer, batch=100)
    assert torch.allclose(
        transformer.next_token_log_probs(documents, documents.flip(0)),
        whole.next_token_log_probs(documents, documents.flip(0)),
        atol=1e-6,
    )


def test_transformer_samples_documents_of_the_given_length(world, transformer):
    d1 = all_documents(world)
    drawn = transformer.sample(generator("test draws"), d1)
    assert drawn.shape == d1.shape
    assert drawn.max() < world.V
    assert torch.equal(drawn, transformer.sample(generator("test draws"), d1))


def test_token_by_token_sampling_agrees_with_the_law(world):
    n = 4000
    drawn = sample_token_by_token(PriorSynthesizer(world), 3, generator("t"), torch.zeros(n, 3, dtype=torch.int64))
    frequencies = torch.bincount((drawn * torch.tensor([9, 3, 1])).sum(1), minlength=27) / n
    expected = law(PriorSynthesizer(world), world, [0, 0, 0])
    assert ((frequencies - expected).abs() <= 4.5 * (expected * (1 - expected) / n).sqrt() + 1e-12).all()


def test_exact_synthesis_draws_from_the_predictive():
    source = WorldSource.from_options({"name": "bow", "vocabulary": 3, "length": 3, "concepts": 3, "overlap": 0.2}, 1)
    d1 = [np.array([0, 1, 2], dtype=np.int32)] * 4000
    drawn = np.stack(exact_synthesis(source.describe(), d1, generator("plugin")))
    expected = law(ExactSynthesizer(source.world), source.world, [0, 1, 2]).numpy()
    frequencies = np.bincount(drawn @ np.array([9, 3, 1]), minlength=27) / 4000
    assert (np.abs(frequencies - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / 4000) + 1e-12).all()


def test_exact_synthesis_refuses_text():
    with pytest.raises(UserError, match="lexicon: exact synthesis needs a world"):
        exact_synthesis({"label": "lexicon"}, [np.zeros(3, dtype=np.int32)], generator("plugin"))


def test_infinite_where_support_is_lost_and_never_nan():
    world = make_world("bow", vocabulary=4, length=3, concepts=2, overlap=0.0, concentration=0.01, seed=0)
    words = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0]], dtype=torch.float64)
    world = type(world)(torch.tensor([0.5, 0.5], dtype=torch.float64), words, 3)
    d2 = torch.tensor([[2, 0, 0]])  # impossible under concept 0, which is the MAP of a draw
    found = MapSynthesizer(world).next_token_log_probs(d2, torch.tensor([[0, 1, 0]]))
    assert not found.isnan().any()
    assert found[0, 0, 2] == -math.inf
    assert (found[0, 1:] == -math.inf).all()
