"""Where a seed's trained models lie."""

from pathlib import Path

from analysis import measures
from sbp_bayes.experiment import SeedContext
from sbp_bayes.training.checkpoint import BEST, FINAL

ARM_PREFIX = "arm "
CHECKPOINT_FILES = {measures.FINAL: FINAL, measures.BEST: BEST}


def arm_checkpoints(context: SeedContext) -> list[tuple[str, str, Path]]:
    """(arm, checkpoint, file) of every arm trained."""
    arms = {s.removeprefix(ARM_PREFIX): folder for s, folder in context.models.items() if s.startswith(ARM_PREFIX)}
    return [(arm, name, folder / file) for arm, folder in arms.items() for name, file in CHECKPOINT_FILES.items()]


def synthesizers(context: SeedContext) -> list[tuple[str, Path]]:
    """(subject, file) of every synthesizer tuned, at its best on held-out pairs."""
    subjects = (measures.SYNTHESIZER, measures.RANDOM_PAIRS_SYNTHESIZER)
    return [(subject, context.models[subject] / BEST) for subject in subjects if subject in context.models]
