"""A mixture over whole documents: its law by enumeration, and its samples."""

import itertools

import pytest
import torch

from analysis.mixture_synthesizer import MixtureSynthesizer
from analysis.synthesizers import CopyingSynthesizer, ExactSynthesizer, PriorSynthesizer, document_log_probs
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world


@pytest.fixture(scope="module")
def world():
    return make_world("bow", concepts=3, vocabulary=3, length=3, overlap=0.3, seed=2)


@pytest.fixture(scope="module")
def documents():
    return torch.tensor(list(itertools.product(range(3), repeat=3)))


def test_the_law_is_the_mixture_of_laws_over_documents(world, documents):
    d1 = torch.tensor([[0, 2, 1]]).expand(27, -1)
    parts = [ExactSynthesizer(world), PriorSynthesizer(world)]
    found = document_log_probs(MixtureSynthesizer(parts, [0.7, 0.3], "mixed"), documents, d1).exp()
    expected = 0.7 * exact.log_predictive(world, documents, d1).exp() + 0.3 * exact.log_evidence(world, documents).exp()
    assert torch.allclose(found, expected, atol=1e-12)


def test_a_part_that_excludes_a_document_leaves_it_to_the_others(world, documents):
    """Copying is exact Bayes mixed with a copy, which excludes all documents but one."""

    class Copy:
        name = "copy"

        def next_token_log_probs(self, d2, *given):
            alive = torch.cat([torch.ones_like(d2[:, :1]), (d2 == given[0]).long()[:, :-1]], 1).cumprod(1)
            return (torch.nn.functional.one_hot(given[0], 3) * alive[..., None]).double().log()

    d1 = torch.tensor([[0, 2, 1]]).expand(27, -1)
    mixed = MixtureSynthesizer([ExactSynthesizer(world), Copy()], [0.8, 0.2], "mixed")
    laws = mixed.next_token_log_probs(documents, d1)
    assert torch.allclose(laws, CopyingSynthesizer(world, 0.2).next_token_log_probs(documents, d1), atol=1e-12)


def test_samples_follow_the_law(world, documents):
    n, d1 = 8000, torch.tensor([[0, 2, 1]])
    mixed = MixtureSynthesizer([ExactSynthesizer(world), PriorSynthesizer(world)], [0.4, 0.6], "mixed")
    drawn = (mixed.sample(generator("mixture"), d1.expand(n, -1)) * torch.tensor([9, 3, 1])).sum(1)
    frequencies = torch.bincount(drawn, minlength=27) / n
    expected = document_log_probs(mixed, documents, d1.expand(27, -1)).exp()
    assert ((frequencies - expected).abs() <= 4.5 * (expected * (1 - expected) / n).sqrt()).all()
