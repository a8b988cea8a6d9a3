"""Learning-rate schedules as functions of the step."""

from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.schedule import SCHEDULES, share_of_peak

shares = st.floats(0, 1)


def config(**changes) -> TrainingConfig:
    return TrainingConfig(**{**dict(context=12, batch_tokens=48, steps=100, warmup=0.1, learning_rate=1.0), **changes})


def rates(c: TrainingConfig) -> list[float]:
    return [c.learning_rate_at(step) for step in range(c.total_steps)]


def test_cosine_warms_up_and_falls_to_its_floor():
    found = rates(config(minimum_lr=0.2))
    assert found[0] == pytest.approx(1 / 11) and found[:11] == sorted(found[:11]) and found[10] == 1.0
    assert found[10:] == sorted(found[10:], reverse=True) and found[55] == pytest.approx(0.6)
    assert found[-1] == pytest.approx(0.2, abs=1e-3)


def test_constant_stays_at_the_peak():
    assert set(rates(config(schedule="constant"))[10:]) == {1.0}


def test_wsd_is_flat_until_its_decay_and_ends_at_its_floor():
    found = rates(config(schedule="wsd", decay=0.25, minimum_lr=0.2))
    assert set(found[10:76]) == {1.0} and found[75:] == sorted(found[75:], reverse=True)
    assert found[76] == pytest.approx(1 - 0.8 * (1 / 25) ** 0.5) and found[-1] == pytest.approx(0.2, abs=0.02)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(SCHEDULES), st.integers(1, 400), shares, shares, shares)
def test_every_schedule_rises_to_the_peak_and_never_rises_again(schedule, steps, warmup, minimum, decay):
    decay = min(decay, 1 - warmup)
    found = [share_of_peak(step, steps, schedule, warmup, minimum, decay) for step in range(steps)]
    warm = min(round(warmup * steps), steps - 1)
    assert all(share > 0 for share in found[:warm]) and all(a < b for a, b in pairwise(found[:warm]))
    after = found[warm:]
    assert all(a >= b for a, b in pairwise(after)) and all(minimum - 1e-12 <= share <= 1 for share in after)
    assert after[0] == 1


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 0.4), st.floats(0, 0.5))
def test_wsd_has_the_same_trunk_at_every_length(steps, more, warmup, decay):
    """What makes wsd useful: a longer run shares the steps before the decay, so that it may start from them."""
    warm = round(warmup * steps)
    longer = steps + more
    trunk = range(warm, steps - round(decay * steps))
    same_warmup = warm / longer
    for step in trunk:
        short = share_of_peak(step, steps, "wsd", warmup, 0.1, decay)
        assert short == share_of_peak(step, longer, "wsd", same_warmup, 0.1, decay * steps / longer) == 1


def test_saving_and_tracking_decide_nothing_and_later_fields_only_when_set():
    """Runs made before a field existed keep their names."""
    first = {"tokens", "steps", "context", "batch_tokens", "learning_rate", "warmup", "schedule", "minimum_lr"}
    first |= {"weight_decay", "betas", "clip", "accumulation", "evaluate_every", "patience", "checkpoint_seconds"}
    first |= {"checkpoint_every", "seed", "compile"}
    plain = config().identity()
    assert set(plain) == first
    quiet = dict(checkpoint_seconds=1.0, checkpoint_every=3, checkpoints_kept=5, track="tensorboard")
    assert config(**quiet, activation_checkpointing=True).identity() == plain
    assert config(compile="on", nonfinite="skip", schedule="constant", keep_stable=True).identity() == {
        **plain,
        "schedule": "constant",
    }
    for change in (
        {"optimiser": "muon"},
        {"log_every": 3},
        {"precision": "bfloat16"},
        {"decay": 0.1},
        {"seed": 1},
    ):
        assert config(**change).identity() == {**plain, **change}
