"""Learning-rate schedules: each a pure function of the step, as a share of the peak."""

import math

SCHEDULES = ("cosine", "constant", "wsd")


def share_of_peak(step: int, steps: int, schedule: str, warmup: float, minimum: float, decay: float) -> float:
    """Learning rate of ``step`` (0, 1, ..., steps - 1) over its peak, which one step at least reaches.

    warmup: share of the steps over which it rises linearly, the first step above 0. Then ``cosine`` falls to
    ``minimum`` by the end of training, ``constant`` stays at 1, and ``wsd`` (warm-up, stable, decay) stays at 1 until
    the last ``decay`` share of the steps, where it falls to ``minimum``.
    """
    warm = min(round(warmup * steps), steps - 1)
    if step < warm:
        return (step + 1) / (warm + 1)
    if schedule == "cosine":
        return cosine((step - warm) / max(1, steps - warm), minimum)
    if schedule == "wsd":
        start = max(warm, fall_begins(steps, decay))
        return fall((step - start) / max(1, steps - start), minimum)
    assert schedule == "constant"
    return 1.0


def fall_begins(steps: int, decay: float) -> int:
    """The first step of the fall of ``wsd``, or its last step of all and one more where nothing falls."""
    return steps - round(decay * steps)


def cosine(progress: float, minimum: float) -> float:
    """From 1 at progress 0 to ``minimum`` at 1, half a cosine between (Loshchilov and Hutter 2017)."""
    return minimum + (1 - minimum) * 0.5 * (1 + math.cos(math.pi * progress))


def fall(progress: float, minimum: float) -> float:
    """1 up to progress 0, ``minimum`` at 1, and 1 - sqrt between.

    Of the decays that Haegele et al. (2024, "Scaling laws and compute-optimal training beyond fixed training
    durations") compare, 1 - sqrt ends lowest, and a fifth of the steps is enough to reach cosine.
    """
    return 1 - (1 - minimum) * math.sqrt(max(0.0, progress))
