"""W1: each concept is a distribution over words; a document is words drawn independently from its concept's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds import kernels
from synthetic_worlds.categorical import check_distributions, cumulative, draw, overlap_mixture, zipf_prior
from synthetic_worlds.dials import Dial
from synthetic_worlds.world import ConceptWorld, Documents


@dataclass(frozen=True, eq=False)
class BagOfWords(ConceptWorld):
    """c ~ Categorical(prior), x_t ~ Categorical(words[c]) for t = 0 .. L-1.

    prior: (C,); words: (C, V), rows sum to one; length: L tokens.
    """

    name = "bow"
    version = 1
    title = "Bag-of-words mixture (W1)"
    text = """\
A concept is a distribution over words. A document is `length` words drawn independently from its concept's:
    c ~ Categorical(pi),  phi_c = overlap * phi_0 + (1 - overlap) * phi'_c,  x_t ~ Categorical(phi_c)
    phi_0 ~ Dirichlet(1) is shared by all concepts, phi'_c ~ Dirichlet(concentration) is each concept's own.
Related documents share c. Exact Bayes needs only word counts n(d):
    p(c | d1, ..., dm) is proportional to pi_c * prod_v phi_c(v) ** (n_v(d1) + ... + n_v(dm))
    p(d2 | d1) = sum_c p(c | d1) p(d2 | c)
At overlap 1 all concepts are the same and one document says nothing of another: every gain must be zero.
Cost: C * L a document for the posterior, C * L * V for the predictive at every position."""
    DIALS = (
        Dial("overlap", 0.6, 0.0, 1.0, "share of each concept's words that comes from the common distribution"),
        Dial("concepts", 16, 1, 4096, "number of concepts C"),
        Dial("vocabulary", 32, 2, 65536, "number of words V"),
        Dial("length", 16, 1, 4096, "words a document, L"),
        Dial("concentration", 0.3, 0.01, 100.0, "Dirichlet parameter of each concept's own words; small is peaked"),
        Dial("zipf", 0.0, 0.0, 3.0, "prior of the k-th concept is proportional to k ** -zipf; 0 is uniform"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.48},
        "medium": {"overlap": 0.6},
        "hard": {"overlap": 0.82},
        "null": {"overlap": 1.0},
    }

    devices = ("cpu", "cuda")

    prior: Tensor
    words: Tensor
    length: int
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        check_distributions(self.name, self.parameters())

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        random = np.random.default_rng(seed)
        words = overlap_mixture(
            random, dials["concepts"], (dials["vocabulary"],), dials["overlap"], dials["concentration"]
        )
        return cls(zipf_prior(dials["concepts"], dials["zipf"]), words, dials["length"], dials, seed)

    @property
    def V(self) -> int:
        return self.words.shape[1]

    @property
    def L(self) -> int:
        return self.length

    @cached_property
    def log_words_VC(self) -> Tensor:
        """Log word probabilities with the word first: a token then selects one contiguous row."""
        return self.words.T.log().contiguous()

    def parameters(self) -> dict[str, Tensor]:
        return {"prior": self.prior, "words": self.words}

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        tokens = draw(cumulative(self.words)[concepts], self.L, generator)
        log_prob = self.log_prior[concepts] + self.log_words_VC[tokens, concepts[:, None]].sum(1)
        return Documents(tokens, {"concept": concepts}, log_prob)

    def token_log_likelihood(self, tokens: Tensor) -> Tensor:
        return self.log_words_VC[tokens].transpose(1, 2)

    def next_token_log_likelihood(self, tokens: Tensor) -> Tensor:
        return self.log_words_VC.T[None, :, None].expand(len(tokens), -1, tokens.shape[1], -1)

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        return torch.nn.functional.embedding_bag(tokens, self.log_words_VC, mode="sum")

    def update_belief(self, belief: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        if kernels.serve(tokens, self.C, kernels.MIXTURE_CONCEPTS):
            from synthetic_worlds.kernels import mixture

            return mixture.update(self.log_words_VC, belief, tokens)
        return super().update_belief(belief, tokens)

    def prefix_log_probs(self, belief: Tensor, tokens: Tensor) -> Tensor:
        if kernels.serve(tokens, self.C, kernels.MIXTURE_CONCEPTS):
            from synthetic_worlds.kernels import mixture

            return mixture.update(self.log_words_VC, belief, tokens, every=True)[1]
        return super().prefix_log_probs(belief, tokens)

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        log_weights = self.beliefs_before_tokens(belief, tokens).transpose(1, 2)
        result = log_weights.exp() @ self.words
        # A concept whose weight underflows matters only beside a vanishing probability: those rows go by log space.
        vanishing = (torch.isfinite(log_weights) & (log_weights < -600)).flatten(1).any(1)
        lossy = vanishing & (result < 1e-100).flatten(1).any(1)
        result = result.log_()
        if lossy.any():
            result[lossy] = super().predict_tokens(belief[lossy], tokens[lossy])
        return result

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist

        words = self.words[concept].unsqueeze(-2)
        pyro.sample(name, dist.Categorical(words).expand((*concept.shape, self.L)).to_event(1), obs=tokens)
