"""The arms of synthetic bootstrapped pretraining with an ideal learner in place of the network.

Each arm gives the learner documents; what it costs is the excess held-out loss of what was learnt, nats a document
above exact Bayes. All arms of a replicate have the same D and the same held-out documents.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.ideal.learner import Learner, Model
from analysis.ideal.replicates import exact_log_density, exact_related, sample_groups
from analysis.measures import EXACT, ORACLE, RANDOM_PAIRS, REPETITION, SBP
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds.world import Process

PAIRS = "pairs"  # the law of d that was learnt from the related pairs, without any synthesis
SELF_GENERATION = "self-generation"
ARMS = (REPETITION, PAIRS, SBP, RANDOM_PAIRS, SELF_GENERATION, EXACT, ORACLE)


@dataclass(frozen=True)
class Setting:
    """How much of everything there is.

    documents: N of D, in groups of ``group`` that share their concept; samples: synthetic documents for each one of D;
    share: of the weight that training gives to them, None for every document once; oracle: fresh documents for each one
    of D; heldout: documents that the excess is measured on; seed: of all draws.
    """

    documents: int
    group: int = 2
    samples: int = 4
    share: float | None = None
    oracle: int = 10
    heldout: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in ("share", "seed") and value < 1:
                raise UserError(f"ideal arms: {field.name}={value}; expected 1 or more")
        if self.documents % self.group:
            raise UserError(f"ideal arms: documents={self.documents}; expected a multiple of group={self.group}")
        if self.share is not None and not 0 <= self.share <= 1:
            raise UserError(f"ideal arms: share={self.share:g}; expected 0 to 1")

    @property
    def synthetic_share(self) -> float:
        """Share of the training weight that synthetic documents have."""
        return self.samples / (1 + self.samples) if self.share is None else self.share

    def weights(self) -> Tensor:
        """(N + N * samples,) of D's documents and of the synthetic ones: (1 + samples) * N in all."""
        share, total = self.synthetic_share, 1 + self.samples
        real = torch.full((self.documents,), (1 - share) * total, dtype=torch.float64)
        synthetic = torch.full((self.documents * self.samples,), share * total / self.samples, dtype=torch.float64)
        return torch.cat([real, synthetic])


def learn_arms(
    worlds: Sequence[Process], learner: Learner, setting: Setting, arms: Sequence[str] = ARMS
) -> dict[str, Model]:
    """Arm -> what ``learner`` learns in it, in each of the R replicates of ``worlds``.

    The synthesizer of sbp is fitted to D in its groups, that of random-pairs to D in groups put together by lot; both
    take it that a group shares a concept. Self-generation is told that its pairs are unrelated: it writes documents
    from the law that repetition learnt. Exact writes from the true p(d2 | d1).
    """
    groups = sample_groups(worlds, setting.documents // setting.group, setting.group, _random(setting, "documents"))
    documents = groups.flatten(1, 2)
    seeds = documents.repeat_interleave(setting.samples, 1)

    def related_to_seeds(model: Model, random: torch.Generator) -> Tensor:
        return model.sample_related(seeds, random)

    def by_lot(random: torch.Generator) -> Tensor:
        return documents[:, torch.randperm(setting.documents, generator=random)].view(groups.shape)

    def fit_with(synthetic: Tensor) -> Model:
        return learner.fit(torch.cat([documents, synthetic], 1)[:, :, None], setting.weights())

    recipes: dict[str, Callable[[torch.Generator], Model]] = {
        REPETITION: lambda random: _alone(learner, documents),
        PAIRS: lambda random: _alike(learner, groups),
        SBP: lambda random: fit_with(related_to_seeds(_alike(learner, groups), random)),
        RANDOM_PAIRS: lambda random: fit_with(related_to_seeds(_alike(learner, by_lot(random)), random)),
        SELF_GENERATION: lambda random: fit_with(_alone(learner, documents).sample(seeds.shape[1], random)),
        EXACT: lambda random: fit_with(exact_related(worlds, seeds, random)),
        ORACLE: lambda random: _alone(
            learner, sample_groups(worlds, len(groups[0]) * setting.oracle, setting.group, random).flatten(1, 2)
        ),
    }
    unknown = [arm for arm in arms if arm not in recipes]
    if unknown:
        raise UserError(f"ideal arms: unknown arm {unknown[0]!r}; there are {', '.join(recipes)}")
    return {arm: recipes[arm](_random(setting, arm)) for arm in arms}


def excess_losses(worlds: Sequence[Process], models: Mapping[str, Model], setting: Setting) -> dict[str, Tensor]:
    """Arm -> (R,) excess held-out loss in nats a document: the mean of log p(d) - log q(d) over documents of p."""
    heldout = sample_groups(worlds, setting.heldout, 1, _random(setting, "heldout")).flatten(1, 2)
    truth = exact_log_density(worlds, heldout)
    return {arm: (truth - model.log_density(heldout)).mean(1) for arm, model in models.items()}


def _alone(learner: Learner, documents: Tensor) -> Model:
    return _alike(learner, documents[:, :, None])


def _alike(learner: Learner, groups: Tensor) -> Model:
    return learner.fit(groups, torch.ones(groups.shape[1], dtype=torch.float64))


def _random(setting: Setting, purpose: str) -> torch.Generator:
    """A stream for each purpose, so that leaving out an arm changes no other."""
    return generator("ideal", purpose, setting.seed)
