"""W2: a concept is a point of the simplex, one word law of a continuum; documents are Polya urns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.categorical import check_distributions, cumulative, draw
from synthetic_worlds.dials import Dial
from synthetic_worlds.dirichlet import draw_log_dirichlet
from synthetic_worlds.world import CHUNK_ELEMENTS, Documents, World, WorldError, normalise


@dataclass(frozen=True, eq=False)
class DirichletMultinomial(World):
    """m ~ Categorical(weights), theta ~ Dirichlet(overlap / (1 - overlap) * means[m]), x_t ~ Categorical(theta).

    weights: (M,); means: (M, V), rows sum to one; overlap: over 0, at most 1 (then theta is means[m] itself); length: L
    tokens. The concept is theta (V,). A belief is (B, M + V): log-weights of the components, then word counts so far.
    """

    name = "polya"
    version = 1
    title = "Dirichlet-multinomial (W2)"
    text = """\
A concept is a distribution over words itself, drawn from a continuum; no two documents that are not related share it.
    theta ~ Dirichlet(a * mu),  x_t ~ Categorical(theta),  a = overlap / (1 - overlap),  mu ~ Dirichlet(concentration)
Related documents share theta. Integrated out it leaves a Polya urn: each word is drawn afresh from mu with weight
`overlap`, or repeats one of the n words seen before, in the related documents too, with weight 1 - overlap each:
    p(x_t = v | d1, x_<t) = (overlap * mu_v + (1 - overlap) * n_v) / (overlap + (1 - overlap) * n)
    p(theta | d1, ..., dm) = Dirichlet(a * mu + counts of all their words)
With several `components` mu is one of as many, chosen evenly; their posterior weights multiply by each word's
probability, and p is their mixture.
The concept has no entropy to speak of (a differential one depends on coordinates), so H(c|d1) is not a figure here;
I(c;d1) and I(d1;d2) are: easy, medium and hard say that d1 gives about 85, 60 and 30 % of what theta would give of d2.
At overlap 1 with one component theta is always mu, and every gain must be zero; with M components at overlap 1 this is
a bag-of-words mixture (W1) of M concepts.
Cost: L * M a document for the evidence, L * M * V for the predictive at every position."""
    DIALS = (
        Dial("overlap", 0.8, 0.001, 1.0, "weight of a fresh draw from the common law against each earlier word's"),
        Dial("components", 1, 1, 1024, "Dirichlet components of the prior of theta, M"),
        Dial("vocabulary", 32, 2, 65536, "number of words V"),
        Dial("length", 16, 1, 4096, "words a document, L"),
        Dial("concentration", 1.0, 0.01, 100.0, "Dirichlet parameter of each component's mean; small is peaked"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.2},
        "medium": {"overlap": 0.8},
        "hard": {"overlap": 0.965},
        "null": {"overlap": 1.0},
    }

    weights: Tensor
    means: Tensor
    overlap: float
    length: int
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        check_distributions(self.name, {"weights": self.weights, "means": self.means})
        if not 0 < self.overlap <= 1:
            raise WorldError(f"world {self.name}: overlap={self.overlap:g}; expected a number over 0 and at most 1")

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        components = dials["components"]
        concentration = np.full(dials["vocabulary"], dials["concentration"])
        means = torch.from_numpy(np.random.default_rng(seed).dirichlet(concentration, size=components))
        weights = torch.full((components,), 1 / components, dtype=torch.float64)
        return cls(weights, means, dials["overlap"], dials["length"], dials, seed)

    @property
    def V(self) -> int:
        return self.means.shape[1]

    @property
    def L(self) -> int:
        return self.length

    @property
    def M(self) -> int:
        """Number of Dirichlet components."""
        return len(self.weights)

    @property
    def chunk(self) -> int:
        return max(1, super().chunk // self.M)

    def parameters(self) -> dict[str, Tensor]:
        return {"weights": self.weights, "means": self.means, "overlap": torch.tensor(self.overlap).double()}

    def sample_concepts(self, n: int, generator: torch.Generator) -> Tensor:
        return self._draw_theta(self.prior_belief(n), generator)

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        tokens = draw(cumulative(concepts), self.L, generator)
        return Documents(tokens, {"concept": concepts}, self.log_prob_given_concepts(concepts, tokens))

    def log_prob_given_concepts(self, concepts: Tensor, documents: Tensor) -> Tensor:
        return concepts.gather(1, documents).log().sum(1)

    def prior_belief(self, n: int) -> Tensor:
        return torch.cat([self.weights.log(), torch.zeros(self.V, dtype=torch.float64)]).expand(n, -1)

    def update_belief(self, belief: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        log_weights, counts = self._split(belief)
        log_weights, log_prob = normalise(log_weights + self._token_log_probs(counts, tokens).sum(-1), dim=1)
        seen = counts.scatter_add(1, tokens, torch.ones(tokens.shape, dtype=torch.float64))
        return torch.cat([log_weights, seen], 1), log_prob

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        size = max(1, CHUNK_ELEMENTS // (self.M * self.L * self.V))
        parts = [
            self._predict_chunk(*self._split(some), text)
            for some, text in zip(belief.split(size), tokens.split(size), strict=True)
        ]
        return torch.cat(parts)

    def sample_from_belief(self, belief: Tensor, generator: torch.Generator) -> Documents:
        if not torch.isfinite(belief[:, : self.M]).any(1).all():
            raise WorldError(f"world {self.name}: cannot sample given a document that the world never produces")
        return self.sample_given_concepts(self._draw_theta(belief, generator), generator)

    def pyro_concept(self, name: str) -> Tensor:
        import pyro
        import pyro.distributions as dist

        if self.overlap == 1:
            raise WorldError(
                f"world {self.name}: at overlap 1 theta has no density; expected an overlap below 1 for Pyro"
            )
        components = dist.Dirichlet(self.overlap / (1 - self.overlap) * self.means)
        if self.M == 1:  # a Dirichlet by itself, since NUTS knows no way to move on the support of a mixture
            return pyro.sample(name, dist.Dirichlet(components.concentration[0]))
        return pyro.sample(name, dist.MixtureSameFamily(dist.Categorical(self.weights), components))

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist

        words = dist.Categorical(concept.unsqueeze(-2)).expand((*concept.shape[:-1], self.L))
        pyro.sample(name, words.to_event(1), obs=tokens)

    def _split(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        return belief[:, : self.M], belief[:, self.M :]

    def _draw_theta(self, belief: Tensor, generator: torch.Generator) -> Tensor:
        """(B, V) one theta for each row of ``belief``."""
        log_weights, counts = self._split(belief)
        means = self.means[draw(cumulative(log_weights.exp()), 1, generator)[:, 0]]
        if self.overlap == 1:
            return means
        return draw_log_dirichlet(self.overlap / (1 - self.overlap) * means + counts, generator).exp()

    def _token_log_probs(self, counts: Tensor, tokens: Tensor) -> Tensor:
        """(B, M, L') log p(x_t | component, counts, x_<t)."""
        repeats = counts.gather(1, tokens) + earlier_occurrences(tokens)
        fresh = self.overlap * self.means.T[tokens].transpose(1, 2)
        return (fresh + (1 - self.overlap) * repeats[:, None]).log() - self._log_total(counts, tokens)[:, None]

    def _log_total(self, counts: Tensor, tokens: Tensor) -> Tensor:
        """(B, L') log of the urn's whole weight before each token."""
        seen = counts.sum(1, keepdim=True) + torch.arange(tokens.shape[1])
        return (self.overlap + (1 - self.overlap) * seen).log()

    def _predict_chunk(self, log_weights: Tensor, counts: Tensor, tokens: Tensor) -> Tensor:
        steps = self._token_log_probs(counts, tokens)
        after = log_weights[..., None] + torch.cat([torch.zeros_like(steps[..., :1]), steps[..., :-1]], -1).cumsum(-1)
        before, _ = normalise(after, dim=1)
        words = torch.nn.functional.one_hot(tokens, self.V).double()
        seen = counts[:, None] + words.cumsum(1) - words
        urn = self.overlap * self.means[:, None] + (1 - self.overlap) * seen[:, None]
        return (before[..., None] + urn.log()).logsumexp(1) - self._log_total(counts, tokens)[..., None]


def earlier_occurrences(tokens: Tensor) -> Tensor:
    """(B, L) how often each token of ``tokens`` (B, L) occurs before it in its row."""
    ordered, order = tokens.sort(dim=1, stable=True)
    position = torch.arange(tokens.shape[1]).expand_as(tokens)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = position.masked_fill(~starts, 0).cummax(1).values
    return torch.empty_like(tokens).scatter_(1, order, position - first)
