"""The explicit synthesizer: latent classes fitted to pairs by Pyro's TraceEnum_ELBO, predicting by exact mixing."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.explicit_model import ExplicitModel
from analysis.measures import EXPLICIT
from analysis.synthesizers import BeliefSynthesizer
from sbp_bayes.errors import UserError
from sbp_bayes.pairing.split import split_pairs
from sbp_bayes.seeds import generator, seed_for
from synthetic_worlds import exact
from synthetic_worlds.hmm import ConceptHMM
from synthetic_worlds.world import ConceptWorld


class ExplicitSynthesizer(BeliefSynthesizer):
    """p(d2 | d1) = sum_c q(c | d1) p(d2 | c), q's belief about the class updated along d2.

    reader: the world of K classes whose posterior is q; world: the decoder, a world of the same K classes.
    """

    def __init__(self, reader: ConceptWorld, decoder: ConceptWorld, name: str = EXPLICIT):
        super().__init__(decoder)
        self.reader, self.name = reader, name

    @classmethod
    def of(cls, model: ExplicitModel, length: int, name: str = EXPLICIT) -> "ExplicitSynthesizer":
        """Of a model's present parameters, for documents of ``length`` tokens."""
        frequencies = model.log_frequencies.softmax(0)
        return cls(model.reader.world(frequencies, length), model.decoder.world(frequencies, length), name)

    def belief(self, *given: Tensor) -> Tensor:
        return exact.concept_log_posterior(self.reader, *given)


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How an explicit model is fitted.

    classes: K; states: S of each class, 1 for laws of words; shared: the encoder shares the decoder's parameters.
    prior_words: how many observations the prior of each row is worth; every value is a candidate with random
        parameters of its own, and the best on held-out pairs after ``heat`` steps goes on to the end.
    steps: the most that are taken; batch: pairs a step, and at most an eighth of them all.
    patience: evaluations (one a pass over the pairs) without a better one before the learning rate is divided by four,
        from the best parameters so far; the third time the fit ends.
    """

    classes: int
    states: int = 1
    shared: bool = False
    prior_words: tuple[float, ...] = (10.0, 50.0, 200.0)
    heat: int = 200
    steps: int = 2000
    batch: int = 256
    learning_rate: float = 0.03
    patience: int = 4

    def __post_init__(self) -> None:
        for name in ("classes", "states", "heat", "steps", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"explicit synthesizer: {name}: expected 1 or more, got {getattr(self, name)}")
        if self.batch < 2:
            raise UserError(f"explicit synthesizer: batch: expected 2 pairs or more, got {self.batch}")
        if not self.prior_words or min(self.prior_words) < 0:
            raise UserError(f"explicit synthesizer: prior_words: expected numbers from 0, got {self.prior_words}")


def settings_for(world: ConceptWorld, times: int = 1, **changes) -> FitSettings:
    """The world's own number of classes (``times`` as many) and states, known beforehand as an architecture is."""
    states = world.S if isinstance(world, ConceptHMM) else 1
    return FitSettings(**{"classes": times * world.C, "states": states, **changes})


@dataclass(frozen=True)
class Fitted:
    """A fitted explicit synthesizer.

    heldout_nats: nats a document d2 of the held-out pairs; prior_words: of the candidate that won; steps: that it took;
    candidates: prior_words of each, and its held-out nats after the heat.
    """

    synthesizer: ExplicitSynthesizer
    heldout_nats: float
    prior_words: float
    steps: int
    candidates: list[tuple[float, float]]


def fit_explicit(
    documents: Tensor,
    pairs: np.ndarray,
    vocabulary: int,
    settings: FitSettings,
    seed: int,
    split_seed: int | None = None,
    heldout_share: float = 1 / 8,
    name: str = EXPLICIT,
) -> Fitted:
    """Fit to ``pairs`` (M, 2) of ``documents`` (N, L), stopped early on held-out pairs of other documents.

    The pairs are split as the transformer's are: equal ``split_seed`` (``seed`` where not given), equal split. The
    result depends on nothing but the arguments. UserError where there are too few pairs to split.
    """
    split = split_pairs(np.asarray(pairs), seed if split_seed is None else split_seed, heldout_share)
    tuning, heldout = (
        (documents[torch.from_numpy(part[:, 0])], documents[torch.from_numpy(part[:, 1])]) for part in split
    )
    if len(tuning[0]) < 2:
        raise UserError(f"explicit synthesizer: {len(tuning[0])} training pair; expected 2 or more")
    candidates = [
        _Fit(tuning, heldout, vocabulary, settings, words, seed_for("explicit synthesizer", seed, i))
        for i, words in enumerate(settings.prior_words)
    ]
    for candidate in candidates:
        candidate.go(min(settings.heat, settings.steps) if len(candidates) > 1 else settings.steps)
    after_heat = [(candidate.words, candidate.best_loss) for candidate in candidates]
    best = min(candidates, key=lambda candidate: candidate.best_loss)
    best.go(settings.steps)
    best.model.load_state_dict(best.best)
    synthesizer = ExplicitSynthesizer.of(best.model, documents.shape[1], name)
    return Fitted(synthesizer, best.best_loss, best.words, best.step, after_heat)


class _Fit:
    """One candidate under way."""

    def __init__(self, tuning, heldout, vocabulary: int, settings: FitSettings, words: float, seed: int):
        from pyro.infer import TraceEnum_ELBO

        self.tuning, self.heldout, self.settings, self.words = tuning, heldout, settings, words
        self.random = generator("fit", seed)
        counts = torch.bincount(torch.cat(tuning).flatten(), minlength=vocabulary).double() + 1
        self.frequencies = counts / counts.sum()
        self.model = ExplicitModel(settings.classes, settings.states, vocabulary, settings.shared)
        self.model.init(self.random, self.frequencies)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
        self.elbo = TraceEnum_ELBO(max_plate_nesting=1)
        self.step = self.bad = self.drops = 0
        self.best_loss, self.best = torch.inf, {}

    def go(self, steps: int) -> None:
        """Up to ``steps`` steps in all, or until there is nothing to gain; whole passes over the pairs."""
        n = len(self.tuning[0])
        parts = -(-n // min(self.settings.batch, max(2, n // 8)))
        while self.step < steps and self.drops < 3:
            # No part is smaller than half a batch: Pyro drops a plate of size one.
            for rows in torch.randperm(n, generator=self.random).tensor_split(min(parts, n // 2)):
                self._step(*(documents[rows] for documents in self.tuning))
            self._evaluate()

    def _step(self, d1: Tensor, d2: Tensor) -> None:
        loss = self.elbo.differentiable_loss(self.model.pyro_model, _nothing, d1, d2) / len(d1)
        loss = loss - self.model.log_density(self.words, self.frequencies) / len(self.tuning[0])
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1

    @torch.no_grad()
    def _evaluate(self) -> None:
        loss = -float(self.model.log_predictive(*self.heldout).mean())
        if loss < self.best_loss:
            self.best_loss, self.best, self.bad = loss, copy.deepcopy(self.model.state_dict()), 0
            return
        self.bad += 1
        if self.bad >= self.settings.patience:
            self.bad, self.drops = 0, self.drops + 1
            self.model.load_state_dict(self.best)
            for group in self.optimiser.param_groups:
                group["lr"] /= 4


def _nothing(d1: Tensor, d2: Tensor) -> None:
    """A guide with nothing left to guess: the class is summed out."""
