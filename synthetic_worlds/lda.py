"""W3: latent Dirichlet allocation; a concept is a mixture of topics, which related documents share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.categorical import check_distributions, cumulative, draw, overlap_mixture
from synthetic_worlds.dials import Dial
from synthetic_worlds.dirichlet import draw_log_dirichlet, most_nodes, simplex_quadrature
from synthetic_worlds.world import Documents, World, WorldError

MOST_NODES = 2**17
TOLERANCE = 1e-4  # nats; a document's log-probability is never further off
PROBES = 32  # pairs of documents that the error is measured on where it is not zero by the degree


@dataclass(frozen=True, eq=False)
class LatentDirichlet(World):
    """theta ~ Dirichlet(alpha), z_t ~ Categorical(theta), x_t ~ Categorical(topics[z_t]).

    alpha: (K,) over 0; topics: (K, V), rows sum to one; length: L tokens; nodes: quadrature nodes along each of the
    K - 1 axes of the simplex, 0 for as many as make two documents exact, or as fit. The concept is theta (K,). A belief
    is (B, G): log-weights of the G = nodes ** (K-1) nodes.
    """

    name = "lda"
    version = 1
    title = "Latent Dirichlet allocation (W3)"
    text = """\
A concept is a mixture theta of topics; each word first draws its topic from theta, then itself from the topic:
    theta ~ Dirichlet(mixing),  z_t ~ Categorical(theta),  x_t ~ Categorical(phi_(z_t))
    phi_k = overlap * phi_0 + (1 - overlap) * phi'_k,  phi_0 ~ Dirichlet(1),  phi'_k ~ Dirichlet(concentration)
Related documents share theta, each with topics z of its own. Two concepts share topics in part, so relatedness has
degrees. Exact Bayes is an integral over the simplex:
    p(d1, ..., dm) = E_theta prod_i prod_t (sum_k theta_k phi_k(x_it))
The integrand is a polynomial in theta of as high a degree as there are words, so Gauss-Jacobi quadrature with n nodes
along each of the K - 1 axes is exact, to rounding, for up to 2n - 1 words, and the nodes are then a bag-of-words
mixture (W1) that no such documents can tell from the continuum. n = L + 1 makes two related documents exact; where that
is more than 131072 nodes, fewer are used and the error is measured by two resolutions: above 1e-4 nats the world is
refused.
The concept is continuous, so H(c|d1) is not a figure here (a differential entropy depends on coordinates); I(c;d1) and
I(d1;d2) are: easy, medium and hard say that d1 gives about 85, 60 and 30 % of what theta would give of d2.
At overlap 1 all topics are the same and every gain must be zero.
Cost: L * n ** (K-1) a document for the evidence, V times that for the predictive at every position."""
    DIALS = (
        Dial("overlap", 0.35, 0.0, 1.0, "share of each topic's words that comes from the common distribution"),
        Dial("topics", 3, 1, 16, "number of topics K"),
        Dial("vocabulary", 32, 2, 65536, "number of words V"),
        Dial("length", 16, 1, 1024, "words a document, L"),
        Dial("concentration", 0.1, 0.01, 100.0, "Dirichlet parameter of each topic's own words; small is peaked"),
        Dial("mixing", 0.5, 0.01, 100.0, "Dirichlet parameter of theta; small is one topic a concept"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.0, "mixing": 0.07},
        "medium": {"overlap": 0.35, "mixing": 0.5},
        "hard": {"overlap": 0.7, "mixing": 1.0},
        "null": {"overlap": 1.0},
    }

    alpha: Tensor
    topics: Tensor
    length: int
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    nodes: int = 0

    def __post_init__(self) -> None:
        check_distributions(self.name, {"topics": self.topics})
        if self.alpha.shape != self.topics.shape[:1] or not (self.alpha > 0).all():
            raise WorldError(f"world {self.name}: alpha {self.alpha.tolist()}: expected a number over 0 for each topic")
        if self.nodes == 0:
            object.__setattr__(self, "nodes", min(self.length + 1, _most_nodes(self.K)))

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        random = np.random.default_rng(seed)
        topics = overlap_mixture(
            random, dials["topics"], (dials["vocabulary"],), dials["overlap"], dials["concentration"]
        )
        alpha = torch.full((dials["topics"],), float(dials["mixing"]), dtype=torch.float64)
        world = cls(alpha, topics, dials["length"], dials, seed)
        if world.pair_error > TOLERANCE:
            raise WorldError(
                f"world {cls.name}: topics={world.K}, length={world.L}: {world.nodes} nodes an axis, as many as fit, "
                f"leave an error of {world.pair_error:.1e} nats; expected at most {TOLERANCE:g}: "
                "take fewer topics, shorter documents or a higher mixing"
            )
        return world

    @property
    def V(self) -> int:
        return self.topics.shape[1]

    @property
    def L(self) -> int:
        return self.length

    @property
    def K(self) -> int:
        """Number of topics."""
        return len(self.alpha)

    @property
    def chunk(self) -> int:
        return self.quadrature.chunk

    @property
    def words_exact(self) -> float:
        """How many words, of all documents of a row together, have no error but rounding."""
        return math.inf if self.K == 1 else 2 * self.nodes - 1

    @cached_property
    def pair_error(self) -> float:
        """Largest estimated error in nats of log p(d1, d2) over `PROBES` pairs; 0 where it is exact by the degree."""
        if self.words_exact >= 2 * self.L:
            return 0.0
        generator = torch.Generator().manual_seed(0)
        concepts = self.sample_concepts(PROBES, generator)
        return float(self.error(*(self.sample_given_concepts(concepts, generator).tokens for _ in range(2))).max())

    @cached_property
    def simplex(self) -> tuple[Tensor, Tensor]:
        """Nodes theta (G, K) and their weights (G,) under the prior."""
        return simplex_quadrature(self.alpha, self.nodes)

    @cached_property
    def quadrature(self) -> BagOfWords:
        """The mixture of the nodes' bags of words that stands for the continuum."""
        theta, weights = self.simplex
        words = theta @ self.topics
        return BagOfWords(weights / weights.sum(), words / words.sum(1, keepdim=True), self.length)

    def parameters(self) -> dict[str, Tensor]:
        return {"alpha": self.alpha, "topics": self.topics}

    def description(self) -> str:
        if self.words_exact >= 2 * self.L:
            error = f"none but rounding for up to {self.words_exact:g} words"
        else:
            error = f"at most {self.pair_error:.1e} nats for a pair of documents, by two resolutions"
        return f"{super().description()}\nNumerical error: {error}; {len(self.simplex[1])} nodes."

    def error(self, *documents: Tensor) -> Tensor:
        """(B,) estimated error in nats of log p(documents of a row together), each (B, L').

        0 where the quadrature is exact by its degree; else the difference from the exact one, or from the finest that
        fits where that is finer than this. Where this is the finest, the larger of what one and two fewer nodes along
        each axis change: about ten times what is still missing, since the error falls geometrically.
        """
        needed = self._nodes_for(documents)
        if needed <= self.nodes:
            return torch.zeros(len(documents[0]), dtype=torch.float64)
        finest = min(needed, _most_nodes(self.K))
        others = [finest] if finest > self.nodes else [max(1, self.nodes - 1), max(1, self.nodes - 2)]
        ours = _log_evidence(self, documents)
        theirs = torch.stack([_log_evidence(replace(self, nodes=nodes), documents) for nodes in others])
        # Impossible is impossible at every resolution: both are -inf, and there is no error.
        return torch.where(theirs == ours, 0.0, (theirs - ours).abs()).amax(0)

    def refined(self, *documents: Tensor, tolerance: float = TOLERANCE) -> "LatentDirichlet":
        """This world with nodes enough that `error` of ``documents`` is at most ``tolerance`` nats in every row.

        Raises WorldError where that takes more than `MOST_NODES` nodes.
        """
        nodes = max(self.nodes, min(self._nodes_for(documents), _most_nodes(self.K)))
        world = replace(self, nodes=nodes)
        if (worst := float(world.error(*documents).max())) > tolerance:
            raise WorldError(
                f"world {self.name}: error {worst:.1e} nats with {nodes} nodes an axis, as many as fit; "
                f"expected at most {tolerance:g}"
            )
        return world

    def _nodes_for(self, documents: tuple[Tensor, ...]) -> int:
        """Nodes along each axis that make the probability of these documents together exact."""
        return 1 if self.K == 1 else sum(document.shape[1] for document in documents) // 2 + 1

    def sample_concepts(self, n: int, generator: torch.Generator) -> Tensor:
        return draw_log_dirichlet(self.alpha.expand(n, -1), generator).exp()

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        topic = draw(cumulative(concepts), self.L, generator)
        tokens = draw(cumulative(self.topics)[topic.flatten()], 1, generator).view(topic.shape)
        log_prob = (concepts.gather(1, topic).log() + self.topics[topic, tokens].log()).sum(1)
        return Documents(tokens, {"concept": concepts, "topics": topic}, log_prob)

    def log_prob_given_concepts(self, concepts: Tensor, documents: Tensor) -> Tensor:
        return (concepts @ self.topics).gather(1, documents).log().sum(1)

    def prior_belief(self, n: int) -> Tensor:
        return self.quadrature.prior_belief(n)

    def update_belief(self, belief: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.quadrature.update_belief(belief, tokens)

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        return self.quadrature.predict_tokens(belief, tokens)

    def sample_from_belief(self, belief: Tensor, generator: torch.Generator) -> Documents:
        """One document for each row: its words follow the predictive; its theta is one of the nodes."""
        node = self.quadrature.sample_from_belief(belief, generator).latents["concept"]
        return self.sample_given_concepts(self.simplex[0][node], generator)

    def pyro_concept(self, name: str) -> Tensor:
        import pyro
        import pyro.distributions as dist

        return pyro.sample(name, dist.Dirichlet(self.alpha))

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        for t in pyro.markov(range(self.L)):
            topic = pyro.sample(f"{name}_topic{t}", dist.Categorical(concept), infer={"enumerate": "parallel"})
            words = dist.Categorical(Vindex(self.topics)[topic])
            pyro.sample(f"{name}_token{t}", words, obs=None if tokens is None else tokens[:, t])


def _most_nodes(K: int) -> int:
    """Nodes along each axis that fit, for K topics."""
    return most_nodes(max(1, K - 1), MOST_NODES)


def _log_evidence(world: World, documents: tuple[Tensor, ...]) -> Tensor:
    """(B,) log p(documents of a row together)."""
    totals = []
    for rows in zip(*(document.split(world.chunk) for document in documents), strict=True):
        belief, total = world.prior_belief(len(rows[0])), 0.0
        for tokens in rows:
            belief, log_prob = world.update_belief(belief, tokens)
            total = total + log_prob
        totals.append(total)
    return torch.cat(totals)
