"""W1's ideal learner: expectation-maximisation of a mixture of word laws, started at the truth.

Started there it stops at the nearest maximum of the likelihood, the one that a learner without local optima would find:
what is left is the statistics. Words of a document are independent given its concept, so that a group of related
documents counts as one long document.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.categorical import cumulative, draw

PSEUDO_COUNTS = (0.1, 0.5, 2.5, 12.5)  # to tune among


@dataclass(frozen=True, eq=False)
class Mixture:
    """R mixtures of C word laws. log_prior: (R, C); log_words: (R, C, V); length: L tokens of what is sampled."""

    log_prior: Tensor
    log_words: Tensor
    length: int

    def log_joint(self, counts: Tensor) -> Tensor:
        """(R, B, C) log q(c, d) of documents with word ``counts`` (R, B, V), as ordered words."""
        return torch.baddbmm(self.log_prior[:, None], counts, self.log_words.transpose(1, 2))

    def log_density(self, documents: Tensor) -> Tensor:
        return self.log_joint(word_counts(documents, self.log_words.shape[2])).logsumexp(2)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self._sample(draw(cumulative(self.log_prior.exp()), n, generator), generator)

    def sample_related(self, seeds: Tensor, generator: torch.Generator) -> Tensor:
        posterior = self.log_joint(word_counts(seeds, self.log_words.shape[2])).softmax(2)
        concepts = draw(cumulative(posterior.flatten(0, 1)), 1, generator).view(seeds.shape[:2])
        return self._sample(concepts, generator)

    def _sample(self, concepts: Tensor, generator: torch.Generator) -> Tensor:
        """(R, B, L) a document of each of ``concepts`` (R, B)."""
        rows = cumulative(self.log_words.exp())[torch.arange(len(concepts))[:, None], concepts]
        return draw(rows.flatten(0, 1), self.length, generator).view(*concepts.shape, self.length)


@dataclass(frozen=True, eq=False)
class MixtureLearner:
    """EM from ``start`` to the maximum a posteriori; only the words and the prior are learnt, never the number C.

    pseudo_count: of documents' own word frequencies, times V, is added to the expected counts of every concept, so that
    concepts are pulled towards the mean of all; and as it is to that of every concept. A Dirichlet prior, then.
    tolerance: largest change of a probability in a step that ends the fit; steps: at most so many.
    """

    start: Mixture
    pseudo_count: float = 0.5
    tolerance: float = 1e-4
    steps: int = 100

    @classmethod
    def of_worlds(cls, worlds: Sequence[BagOfWords]) -> Self:
        tiny = torch.finfo(torch.float64).tiny  # a word that a concept never uses would be 0 times infinity
        log_words = torch.stack([world.words.clamp_min(tiny).log() for world in worlds])
        return cls(Mixture(torch.stack([world.log_prior for world in worlds]), log_words, worlds[0].L))

    def alternatives(self) -> list[Self]:
        """The same learner at every strength of smoothing that is worth trying."""
        return [replace(self, pseudo_count=value) for value in PSEUDO_COUNTS]

    def fit(self, groups: Tensor, weights: Tensor) -> Mixture:
        model = self.start
        counts = word_counts(groups.flatten(2), model.log_words.shape[2])
        smoothing = self.pseudo_count * counts.shape[2] * word_frequencies(counts, weights)[:, None]
        for _ in range(self.steps):
            share = model.log_joint(counts).softmax(2).mul_(weights[:, None])
            words = torch.bmm(share.transpose(1, 2), counts).add_(smoothing)
            concepts = share.sum(1).add_(self.pseudo_count)
            words, concepts = words / words.sum(2, keepdim=True), concepts / concepts.sum(1, keepdim=True)
            change = max(
                float((words - model.log_words.exp()).abs().max()),
                float((concepts - model.log_prior.exp()).abs().max()),
            )
            model = Mixture(concepts.log(), words.log(), model.length)
            if change < self.tolerance:
                break
        return model


def word_counts(documents: Tensor, vocabulary: int) -> Tensor:
    """(..., V) float64 how often each word occurs in ``documents`` (..., L)."""
    counts = torch.zeros(*documents.shape[:-1], vocabulary, dtype=torch.float64)
    return counts.scatter_add_(-1, documents, torch.ones((), dtype=torch.float64).expand(documents.shape))


def word_frequencies(counts: Tensor, weights: Tensor) -> Tensor:
    """(R, V) in groups with word ``counts`` (R, G, V) and ``weights`` (G,), every word counted once too often."""
    total = torch.einsum("rgv,g->rv", counts, weights) + 1
    return total / total.sum(1, keepdim=True)
