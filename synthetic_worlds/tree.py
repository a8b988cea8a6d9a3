"""W6: concepts are the leaves of a tree; documents can be related closely or only in the coarse levels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.categorical import check_distributions, cumulative, draw, zipf_prior
from synthetic_worlds.dials import Dial, WorldError
from synthetic_worlds.tree_propagation import downward, leaf_log_prior, upward
from synthetic_worlds.world import ConceptWorld, Documents, normalise

MOST_CONCEPTS = 4096


@dataclass(frozen=True, eq=False)
class ConceptTree(ConceptWorld):
    """c_(l+1) ~ branches[l][c_l] down to a leaf c; for each word a level l ~ level_weights, x_t ~ node_words[l][c_l].

    level_weights: (D + 1,), the root's first; branches: D tensors (b ** l, b), p(child | node); node_words: D + 1
    tensors (b ** l, V); length: L tokens. A concept is a leaf, 0 .. b ** D - 1; its ancestor in level l is the integer
    part of c / b ** (D - l).
    """

    name = "tree"
    version = 1
    title = "Concept tree, coarse to fine (W6)"
    text = """\
Concepts form a tree. A document's concept is a leaf, reached from the root by a path from coarse to fine; every node of
the path lends the document some of its words, the coarse ones more than the fine ones:
    c_0 = root,  c_(l+1) ~ Categorical(A[c_l]) for l = 0 .. D-1,  the concept is c = c_D
    for each word: a level l ~ Categorical(w), then x_t ~ Categorical(theta[c_l])
    w_0 = overlap (the root's words are common to all),  w_l is proportional to fineness ** l for l = 1 .. D
    theta[root] ~ Dirichlet(1),  theta[any other node] ~ Dirichlet(concentration)
Documents with the same leaf are related fully. Documents that share only the first k levels of their paths, the rest
drawn afresh, are related to depth k: `related_concepts` draws such partners, `graded_belief` is exact Bayes about them,
`depth_log_posterior` says how deep a pair's relation goes. Exact Bayes by belief propagation on the tree:
    up:    m_l(node) = sum over children of A[node, child] * m_(l+1)(child),  m_D(leaf) = prod_t phi_leaf(x_t)
    down:  p(child | d) = p(node | d) * A[node, child] * m_(l+1)(child) / m_l(node)
    p(d2 | d1, related to depth k) = sum over nodes of level k of p(node | d1) m_k(node; d2)
    where phi_leaf = sum_l w_l theta[ancestor of the leaf in level l]
At overlap 1 every word comes from the root and one document says nothing of another: every gain must be zero.
Cost: C * L a document for the posterior of all levels, C * L * V for the predictive at every position."""
    DIALS = (
        Dial("overlap", 0.38, 0.0, 1.0, "share of words that comes from the root and is common to all concepts"),
        Dial("fineness", 0.7, 0.0, 2.0, "words from a level relative to the level above it; 0: only the coarsest"),
        Dial("branching", 3, 1, 64, "children of each node, b"),
        Dial("levels", 3, 1, 12, "levels below the root, D; there are C = b ** D concepts"),
        Dial("vocabulary", 32, 2, 65536, "number of words V"),
        Dial("length", 24, 1, 4096, "words a document, L"),
        Dial("concentration", 0.3, 0.01, 100.0, "Dirichlet parameter of each node's own words; small is peaked"),
        Dial("zipf", 0.0, 0.0, 3.0, "the k-th child of a node has probability proportional to k ** -zipf"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.02},
        "medium": {"overlap": 0.38},
        "hard": {"overlap": 0.68},
        "null": {"overlap": 1.0},
    }

    level_weights: Tensor
    branches: tuple[Tensor, ...]
    node_words: tuple[Tensor, ...]
    length: int
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        check_distributions(self.name, self.parameters())

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        b, depth, vocabulary = dials["branching"], dials["levels"], dials["vocabulary"]
        if b**depth > MOST_CONCEPTS:
            raise WorldError(f"dials branching={b}, levels={depth}: expected at most {MOST_CONCEPTS} concepts, b ** D")
        random = np.random.default_rng(seed)
        shares = torch.tensor([float(dials["fineness"]) ** level for level in range(depth)], dtype=torch.float64)
        common = torch.tensor([dials["overlap"]], dtype=torch.float64)
        weights = torch.cat([common, (1 - common) * shares / shares.sum()])
        parameters = [1.0] + [dials["concentration"]] * depth
        words = [random.dirichlet(np.full(vocabulary, a), size=b**level) for level, a in enumerate(parameters)]
        branches = tuple(zipf_prior(b, dials["zipf"]).repeat(b**level, 1) for level in range(depth))
        return cls(weights, branches, tuple(map(torch.from_numpy, words)), dials["length"], dials, seed)

    @property
    def V(self) -> int:
        return self.node_words[0].shape[1]

    @property
    def L(self) -> int:
        return self.length

    @property
    def D(self) -> int:
        """Levels below the root."""
        return len(self.branches)

    @property
    def b(self) -> int:
        """Children of each node."""
        return self.branches[0].shape[1]

    @cached_property
    def log_branches(self) -> list[Tensor]:
        """For each level but the last, (b ** l, b) log p(child | node)."""
        return [branches.log() for branches in self.branches]

    @cached_property
    def prior(self) -> Tensor:
        """(C,) probabilities of the leaves."""
        return leaf_log_prior(self.log_branches, 0)[0].exp()

    @cached_property
    def mixture(self) -> BagOfWords:
        """What the tree is to someone who sees only leaves and words: each leaf's own distribution over words."""
        parts = [words.repeat_interleave(self.C // len(words), 0) for words in self.node_words]
        words = sum(weight * part for weight, part in zip(self.level_weights, parts, strict=True))
        return BagOfWords(self.prior, words, self.length)

    def parameters(self) -> dict[str, Tensor]:
        return (
            {"level_weights": self.level_weights}
            | {f"branches[{level}]": values for level, values in enumerate(self.branches)}
            | {f"node_words[{level}]": values for level, values in enumerate(self.node_words)}
        )

    def ancestors(self, concepts: Tensor) -> Tensor:
        """(B, D + 1) the node of each level on the path from the root to each concept (B,)."""
        below = torch.tensor([self.b ** (self.D - level) for level in range(self.D + 1)])
        return concepts[:, None] // below

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        levels = draw(cumulative(self.level_weights).expand(len(concepts), -1), self.L, generator)
        first = torch.tensor([0] + [len(words) for words in self.node_words[:-1]]).cumsum(0)
        nodes = (first + self.ancestors(concepts)).gather(1, levels)
        words = torch.cat(self.node_words)
        sums = cumulative(words)
        tokens = torch.stack([draw(sums[nodes[:, t]], 1, generator)[:, 0] for t in range(self.L)], 1)
        log_prob = self.log_prior[concepts] + (self.level_weights[levels] * words[nodes, tokens]).log().sum(1)
        latents = {"concept": concepts, "path": self.ancestors(concepts)[:, 1:], "levels": levels}
        return Documents(tokens, latents, log_prob)

    def token_log_likelihood(self, tokens: Tensor) -> Tensor:
        return self.mixture.token_log_likelihood(tokens)

    def next_token_log_likelihood(self, tokens: Tensor) -> Tensor:
        return self.mixture.next_token_log_likelihood(tokens)

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        return self.mixture.log_likelihood(tokens)

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        return self.mixture.predict_tokens(belief, tokens)

    def related_concepts(self, concepts: Tensor, depth: int | Tensor, generator: torch.Generator) -> Tensor:
        """(B,) for each of ``concepts`` (B,) one that shares its path down to level ``depth``, a number or (B,).

        Below that level the path is drawn afresh from the prior, and may fall on the same nodes again. Depth D gives
        the concept itself, depth 0 an unrelated one. Raises WorldError for a depth outside 0 .. D.
        """
        depth = torch.as_tensor(depth)
        if int(depth.min()) < 0 or int(depth.max()) > self.D:
            raise WorldError(f"world {self.name}: depth {depth.tolist()}: expected 0 to {self.D}")
        kept = self.ancestors(concepts)
        node = kept[:, 0]
        for level, branches in enumerate(self.branches):
            fresh = node * self.b + draw(cumulative(branches)[node], 1, generator)[:, 0]
            node = torch.where(depth > level, kept[:, level + 1], fresh)
        return node

    def graded_belief(self, belief: Tensor, depths: Tensor) -> Tensor:
        """(B, C) belief in the concept of a partner, from ``belief`` (B, C) in a document's own.

        ``depths`` (D + 1,) are the probabilities that the two share their first 0, 1, ..., D levels. The result is a
        belief like any other: `update_belief`, `predict_tokens` and `sample_from_belief` take it.
        """
        self._check_depths(depths)
        parts = []
        for level in range(self.D + 1):
            below = leaf_log_prior(self.log_branches, level)
            nodes = belief.unflatten(1, below.shape).logsumexp(2)
            parts.append((nodes[..., None] + below).flatten(1) + depths[level].log())
        return torch.stack(parts).logsumexp(0)

    def level_log_posteriors(self, documents: Sequence[Tensor], depths: Sequence[int] | None = None) -> list[Tensor]:
        """For each level 0 .. D, (B, b ** l) log p(node of the path | documents), each document (B, L').

        ``depths`` says how many levels each document shares with the path; without it all of them.
        """
        evidence: dict[int, Tensor] = {self.D: torch.zeros(len(documents[0]), self.C, dtype=torch.float64)}
        for document, depth in zip(documents, depths or [self.D] * len(documents), strict=True):
            evidence[depth] = evidence.get(depth, 0.0) + self._messages(document)[depth]
        return downward(self.log_branches, upward(self.log_branches, evidence))

    def depth_log_posterior(self, d1: Tensor, d2: Tensor, depths: Tensor) -> Tensor:
        """(B, D + 1) log p(d1 and d2 share their first k levels | d1, d2), under the prior ``depths`` (D + 1,)."""
        self._check_depths(depths)
        joint = []
        for level, (m1, m2) in enumerate(zip(self._messages(d1), self._messages(d2), strict=True)):
            nodes = self.log_prior.unflatten(0, (m1.shape[1], -1)).logsumexp(1)
            joint.append((nodes + m1 + m2).logsumexp(1) + depths[level].log())
        return normalise(torch.stack(joint, 1), dim=1)[0]

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        below = torch.tensor([self.b ** (self.D - level) for level in range(self.D + 1)])
        first = torch.tensor([0] + [len(words) for words in self.node_words[:-1]]).cumsum(0)
        all_words = torch.cat(self.node_words)
        for t in pyro.markov(range(self.L), history=0):
            level = pyro.sample(
                f"{name}_level{t}", dist.Categorical(self.level_weights), infer={"enumerate": "parallel"}
            )
            words = dist.Categorical(Vindex(all_words)[first[level] + concept // below[level]])
            pyro.sample(f"{name}_token{t}", words, obs=None if tokens is None else tokens[:, t])

    def _messages(self, tokens: Tensor) -> list[Tensor]:
        """For each level (B, b ** l) log p(tokens | node)."""
        return upward(self.log_branches, {self.D: self.log_likelihood(tokens)})

    def _check_depths(self, depths: Tensor) -> None:
        check_distributions(self.name, {"depths": depths})
        if depths.shape != (self.D + 1,):
            raise WorldError(f"world {self.name}: depths of shape {tuple(depths.shape)}; expected ({self.D + 1},)")
