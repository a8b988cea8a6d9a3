"""Longer runs that branch from the stable phase of wsd, so that each budget costs its own fall alone.

Where the learning rate is at its peak, a run knows nothing yet of how long it will be. The state at that point can be
kept (`TrainingConfig.keep_stable`), and a run of more steps goes on from it as if it had been one run.
"""

import dataclasses
from pathlib import Path

import torch

from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.run_state import RunState
from sbp_bayes.training.state import SavedStates

STABLE = "stable"  # the folder of the state, in that of the run


def stem_of(config: TrainingConfig) -> TrainingConfig:
    """What two runs must have in common for one to branch from the other: all but the budget, and what hangs on it."""
    free = {"warmup": 0.0, "decay": 0.0, "minimum_lr": 0.0, "evaluate_every": 0, "log_every": 0, "patience": 0}
    return dataclasses.replace(config, steps=1, tokens=None, keep_stable=False, **free)


def take_up(
    origin: Path, states: SavedStates, model: Transformer, optimiser: torch.optim.Optimizer, config: TrainingConfig
) -> RunState:
    """Bring model and optimiser to the state that the run in ``origin`` kept, and return its numbers.

    The best held-out loss begins anew, as the weights that had it lie with ``origin``. Raises UserError where there is
    no state, and where ``config`` does not have its peak learning rate there.
    """
    numbers = states.restore(model, optimiser)
    if numbers is None:
        raise UserError(f"{origin / STABLE}: no state there; a run with --schedule wsd --keep-stable leaves one")
    run = dataclasses.replace(RunState(**numbers), best_step=None, best_loss=None, bad_evaluations=0)
    if run.step >= config.total_steps or config.learning_rate_at(run.step) != config.learning_rate:
        raise UserError(
            f"{origin / STABLE}: its step {run.step} is not in the stable phase of {config.total_steps} steps; "
            "raise --steps, or lower --warmup or --decay"
        )
    return run
