"""Where the gain of synthetic data comes from: information of the pairs, shrinkage, optimisation."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from analysis.ideal.arms import SELF_GENERATION
from analysis.measures import RANDOM_PAIRS, REPETITION, SBP

INFORMATION, SHRINKAGE, OPTIMISATION = "information", "shrinkage", "optimisation"
UNRELATED = (RANDOM_PAIRS, SELF_GENERATION)  # what synthesis can do without knowing which documents are related


def gain_parts(excess: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Part -> (R,) nats a document, from the excess losses (R,) of the arms; the parts sum to repetition less sbp.

    Shrinkage is what the better arm without related pairs gains over repetition: random pairs, which pull concepts
    together, or self-generation. Information is what related pairs gain over that. Random pairs alone would not do as
    the reference: where documents tell their concepts apart, taking unrelated ones for related does harm, and to lack
    the harm is not information. The better arm is the better one over all replicates.
    """
    unrelated = min((excess[arm] for arm in UNRELATED if arm in excess), key=lambda losses: float(losses.mean()))
    return {SHRINKAGE: excess[REPETITION] - unrelated, INFORMATION: unrelated - excess[SBP]}


def optimisation_gain(
    neural: Mapping[str, Sequence[float]], ideal: Mapping[str, Sequence[float]]
) -> dict[str, tuple[float, float]]:
    """Part -> (estimate, standard error) of what networks gain there beyond an ideal learner, nats a document.

    neural, ideal: arm -> losses over seeds, the same seeds in the same order for all arms of one, as many as there are
    of each; the same world, number of documents and share in both. "optimisation" is the whole of it; it is split by
    the parts of `gain_parts`. The error is infinite with a single seed.
    """
    parts = [
        gain_parts({arm: torch.tensor(losses, dtype=torch.float64) for arm, losses in arms.items()})
        for arms in (neural, ideal)
    ]
    for arms in parts:
        arms[OPTIMISATION] = arms[SHRINKAGE] + arms[INFORMATION]
    network, exactly = parts
    return {
        part: (
            float(network[part].mean() - exactly[part].mean()),
            math.hypot(*(standard_error(p[part]) for p in parts)),
        )
        for part in (OPTIMISATION, SHRINKAGE, INFORMATION)
    }


def standard_error(values: Tensor) -> float:
    """Of the mean of ``values`` (R,); infinite of a single one."""
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.inf
