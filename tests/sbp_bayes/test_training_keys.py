"""Every key of [training] reaches the trainer."""

import dataclasses

from sbp_bayes.experiment import TrainingSettings, as_tables, experiment_from
from sbp_bayes.stages.data import Budget, training_config
from sbp_bayes.training.configuration import TrainingConfig

CHANGED = {
    "warmup": 0.2,
    "schedule": "wsd",
    "decay": 0.3,
    "optimiser": "muon",
    "weight_decay": 0.4,
    "clip": 2.0,
    "accumulation": 2,
    "compile": "off",
    "precision": "bfloat16",
    "activation_checkpointing": True,
    "nonfinite": "skip",
    "checkpoints_kept": 3,
    "track": "tensorboard",
}
# What the budget of a stage is made of (`sbp_bayes.stages.data.budget_of`), and what is tested by itself below.
OF_THE_BUDGET = {"epochs", "batch_tokens", "context", "learning_rate", "evaluations"}


def config(**training) -> TrainingConfig:
    tables = as_tables(experiment_from({"name": "keys", "corpus": {"world": {"name": "bow"}}, "training": training}))
    return training_config(tables, Budget(8, 4, 32), 0)


def test_every_key_reaches_the_trainer():
    assert {f.name for f in dataclasses.fields(TrainingSettings)} == set(CHANGED) | OF_THE_BUDGET
    found = config(**CHANGED)
    assert {name: getattr(found, name) for name in CHANGED} == CHANGED


def test_an_experiments_defaults_are_the_trainers():
    found, plain = config(), TrainingConfig(steps=32, context=8, batch_tokens=32, learning_rate=1e-3)
    assert {name: getattr(found, name) for name in CHANGED} == {name: getattr(plain, name) for name in CHANGED}


def test_the_size_gives_the_rate_and_evaluations_divide_the_steps():
    assert config().learning_rate == 3e-3 and config(learning_rate=0.5).learning_rate == 0.5
    assert (config().batch_tokens, config().steps, config(evaluations=4).evaluate_every) == (32, 32, 8)
