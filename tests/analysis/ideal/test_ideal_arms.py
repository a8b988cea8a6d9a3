"""What must hold of the arms whatever the numbers: the null, the population identity, the synthetic share's ends."""

import dataclasses
import math

import pytest
import torch

from analysis.ideal.arms import (
    ARMS,
    PAIRS,
    SELF_GENERATION,
    Setting,
    excess_losses,
    learn_arms,
)
from analysis.ideal.learner import ideal_learner
from analysis.ideal.replicates import exact_log_density, exact_related, sample_groups
from analysis.measures import EXACT, ORACLE, RANDOM_PAIRS, REPETITION, SBP
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world

torch.set_num_threads(1)
SMALL = {
    "bow": {"concepts": 4, "vocabulary": 8, "length": 6},
    "polya": {"vocabulary": 6, "length": 8},
    "gaussian": {"factors": 1, "width": 6},
}
SETTING = Setting(64, samples=2, heldout=500)


def measured(name: str, preset: str, setting: Setting, arms, replicates: int = 24):
    worlds = [make_world(name, preset, **SMALL[name])] * replicates
    return excess_losses(worlds, learn_arms(worlds, ideal_learner(worlds), setting, arms), setting)


def z_score(values: torch.Tensor) -> float:
    return float(values.mean() / (values.std() / math.sqrt(len(values))))


@pytest.mark.parametrize("name", SMALL)
def test_in_a_null_world_pairs_tell_nothing(name):
    excess = measured(name, "null", SETTING, (SBP, RANDOM_PAIRS))
    assert abs(z_score(excess[SBP] - excess[RANDOM_PAIRS])) < 4


@pytest.mark.parametrize(("name", "preset"), [("bow", "medium"), ("polya", "hard"), ("gaussian", "medium")])
def test_where_pairs_tell_the_order_of_the_arms(name, preset):
    """With enough documents: of few, the shrinkage of random pairs can be worth more than what true ones tell."""
    setting = dataclasses.replace(SETTING, documents=256)
    excess = {arm: values.mean() for arm, values in measured(name, preset, setting, ARMS, 12).items()}
    assert excess[ORACLE] < excess[EXACT] < excess[SBP] < excess[SELF_GENERATION]
    assert excess[ORACLE] < excess[PAIRS] < excess[REPETITION]
    assert excess[SBP] < excess[RANDOM_PAIRS]


@pytest.mark.parametrize("name", SMALL)
def test_exact_synthesis_from_fresh_documents_is_fresh_data(name):
    """The population identity: what is learnt from d2 ~ p(d2 | d1), d1 ~ p, costs what is learnt from d1."""
    worlds = [make_world(name, "medium", **SMALL[name])] * 40
    learner, ones = ideal_learner(worlds), torch.ones(200).double()
    d1 = sample_groups(worlds, 200, 1, generator("d1"))[:, :, 0]
    heldout = sample_groups(worlds, 500, 1, generator("heldout"))[:, :, 0]
    synthetic = exact_related(worlds, d1, generator("d2"))
    truth = exact_log_density(worlds, heldout)
    costs = [(truth - learner.fit(d[:, :, None], ones).log_density(heldout)).mean(1) for d in (d1, synthetic)]
    assert abs(z_score(costs[1] - costs[0])) < 4
    assert min(cost.mean() for cost in costs) > 0


def test_without_synthetic_weight_every_arm_is_repetition():
    worlds = [make_world("gaussian", "medium", **SMALL["gaussian"])] * 2
    models = learn_arms(worlds, ideal_learner(worlds), dataclasses.replace(SETTING, share=0.0))
    heldout = sample_groups(worlds, 50, 1, generator("heldout"))[:, :, 0]
    repetition = models[REPETITION].log_density(heldout)
    for arm in (SBP, RANDOM_PAIRS, SELF_GENERATION, EXACT):
        torch.testing.assert_close(models[arm].log_density(heldout), repetition)
    assert (models[PAIRS].log_density(heldout) - repetition).abs().max() > 1e-3


def test_weights_give_synthetic_documents_their_share():
    setting = Setting(10, samples=3, share=0.6)
    weights = setting.weights()
    assert len(weights) == 40 and float(weights.sum()) == pytest.approx(40)
    assert float(weights[10:].sum() / weights.sum()) == pytest.approx(0.6)
    assert torch.equal(Setting(10, samples=3).weights(), torch.ones(40).double())


def test_leaving_out_an_arm_changes_no_other():
    alone = measured("bow", "medium", SETTING, (SBP,), 2)[SBP]
    assert torch.equal(alone, measured("bow", "medium", SETTING, (ORACLE, REPETITION, SBP), 2)[SBP])


def test_bad_settings():
    with pytest.raises(UserError, match="documents=7; expected a multiple of group=2"):
        Setting(7)
    with pytest.raises(UserError, match=r"share=1.5; expected 0 to 1"):
        Setting(8, share=1.5)
    with pytest.raises(UserError, match="samples=0; expected 1 or more"):
        Setting(8, samples=0)
    with pytest.raises(UserError, match="unknown arm 'best'; there are repetition"):
        measured("bow", "medium", SETTING, ("best",), 1)
