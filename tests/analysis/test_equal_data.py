"""The comparison at equal data: unique pairs, nested sets, one held-out part, the same documents for every gap."""

import numpy as np
import pytest
import torch

from analysis import measures
from analysis.equal_data import EqualData, fit_implicit, gaps_at_equal_data, related_pairs
from sbp_bayes.pairing.split import split_pairs
from sbp_bayes.training.checkpoint import load_model
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world

QUICK = EqualData(most_steps=6, evaluations=2, explicit_steps=40, documents=50)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world():
    return make_world("bow", seed=2, concepts=3, vocabulary=6, length=6, overlap=0.2)


def test_pairs_are_related_and_share_no_document(world):
    documents, pairs = related_pairs(world, 2000, seed=0)
    assert sorted(pairs.flatten()) == list(range(len(documents)))
    d1, d2 = documents[pairs[:, 0]], documents[pairs[:, 1]]
    gain = exact.log_predictive(world, d2, d1) - exact.log_evidence(world, d2)
    assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5
    assert torch.equal(documents, related_pairs(world, 2000, seed=0)[0])
    assert not torch.equal(documents, related_pairs(world, 2000, seed=1)[0])


def test_every_synthesizer_at_every_number_of_pairs(world, tmp_path):
    found = list(gaps_at_equal_data(world, "tiny", 3, 200, [80, 200], QUICK, tmp_path))
    assert [{row.at for row in rows} for rows in found] == [{80.0}, {200.0}]
    subjects = [measures.SYNTHESIZER, measures.EXPLICIT, measures.EXPLICIT_SHARED]
    for rows in found:
        shares = [row for row in rows if row.measure == measures.BAYES_GAP_FRACTION]
        assert [row.subject for row in shares] == subjects
        assert all(row.world == "tiny" and row.seed == 3 and row.n == 50 and row.estimate > 0 for row in shares)
    # One set of held-out documents, so one I(d1;d2); explicit Bayes with more pairs is closer to exact Bayes.
    information = {row.estimate for rows in found for row in rows if row.measure == measures.PAIR_INFORMATION}
    assert len(information) == 1
    (alone,) = gaps_at_equal_data(world, "tiny", 3, 200, [80], QUICK, tmp_path / "alone")
    assert alone == found[0]


def test_the_transformer_sees_the_training_pairs_alone(world, tmp_path):
    """Documents of held-out pairs never reach the weights: other documents there, the same model."""
    documents, pairs = related_pairs(world, 80, seed=0)
    _, heldout = split_pairs(pairs, 0)
    changed = documents.clone()
    changed[np.unique(heldout)] = 0
    for i, some in enumerate((documents, changed)):
        fit_implicit(world, some, pairs, QUICK, 0, tmp_path / str(i))
    one, two = (load_model(tmp_path / str(i) / "model" / "final.safetensors") for i in range(2))
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name])
