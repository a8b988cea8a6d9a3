import pytest
import torch

from analysis.concept_ranks import excess_by_octave, rank_octaves
from synthetic_worlds.catalogue import make_world


def test_octaves_of_a_zipf_prior_follow_its_ranks():
    log_prior = torch.tensor([0.1, 0.4, 0.05, 0.2, 0.25]).log()
    assert rank_octaves(log_prior, torch.arange(5)).tolist() == [4, 1, 4, 2, 2]


def test_a_uniform_prior_has_no_ranks():
    assert rank_octaves(make_world("bow", "medium", seed=0).log_prior, torch.tensor([0, 3])) is None
    assert rank_octaves(make_world("bow", "medium", seed=0, zipf=1.0).log_prior, torch.tensor([0, 3])) is not None


def test_octaves_add_up_to_the_whole_and_single_documents_are_left_out():
    exact_log_probs, octaves = torch.zeros(7), torch.tensor([1, 1, 1, 2, 2, 2, 4])
    log_probs = -torch.tensor([1.0, 2.0, 3.0, 8.0, 10.0, 12.0, 50.0])
    found = excess_by_octave(log_probs, exact_log_probs, torch.full((7,), 2), octaves)
    assert {octave: (loss.per_token, loss.n) for octave, loss in found.items()} == {1: (1.0, 3), 2: (5.0, 3)}
    whole = sum(loss.per_token * loss.n for loss in found.values())
    assert whole == pytest.approx(-float(log_probs[:6].sum()) / 2)
