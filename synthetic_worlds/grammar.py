"""W8: concepts are grammars that share their symbols and words and differ in how often they use each rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.categorical import check_distributions, cumulative, draw, overlap_mixture, zipf_prior
from synthetic_worlds.dials import Dial, WorldError
from synthetic_worlds.hidden_mixture import log_mixture
from synthetic_worlds.inside import SpanGrammars, preterminal_log_weights
from synthetic_worlds.world import ConceptWorld, Documents, normalise


@dataclass(frozen=True, eq=False)
class ConceptGrammar(ConceptWorld):
    """c ~ Categorical(prior); from the root, symbol 0: k ~ splits[n], (B, C) ~ rules[c, A], x_t ~ words[c, A].

    prior: (C,); rules: (C, N, N, N), p(left, right | symbol); words: (C, N, V); splits: (L + 1, L + 1), p(words of the
    left child | words of the symbol), row n zero unless 0 < k < n.
    """

    name = "grammar"
    version = 1
    title = "Concept-tilted grammar (W8)"
    text = """\
All concepts share the symbols and words of one grammar; a concept tilts how probable its rules are. A document is one
derivation from the root symbol, which covers all L words:
    a symbol A that covers n > 1 words gives k to its left child, k from 1 to n - 1 with probability proportional to
    (k (n - k)) ** balance, and rewrites itself as two symbols:  (B, C) ~ Categorical(R_c[A])
    a symbol A that covers one word emits it:  x ~ Categorical(W_c[A])
    R_c[A] = overlap * common row + (1 - overlap) * own row,  W_c[A] likewise with word_overlap
    common rows ~ Dirichlet(rule_concentration) and Dirichlet(word_concentration), own rows alike
Related documents share c, and each has a derivation of its own. At word_overlap 1 the words of each symbol are the
same in all concepts, which then differ in structure alone. At balance 1000 all derivations have one shape; where L is a
power of two this is a random hierarchy model.
Lengths are part of the derivation so that every document has exactly L words: with an end symbol, length would speak of
the concept, and conditioning a grammar on its length has no prefix probabilities in closed form. Exact Bayes:
    inside(i, n)[A] = sum over k, B, C of p(k|n) R_c[A, B, C] inside(i, k)[B] inside(i + k, n - k)[C]
    p(x_t | x_<t, c) from prefix probabilities, one pass over the chart from the root down (synthetic_worlds/inside.py)
    p(c | d1, ..., dm) is proportional to pi_c * prod_i p(d_i | c),  p(d2 | d1) = sum_c p(c | d1) p(d2 | c)
At overlap and word_overlap 1 all concepts are the same and one document says nothing of another: every gain is zero.
Cost: C * (L^3 N^2 + L^2 N^3) a document for the posterior and the predictive at every position."""
    DIALS = (
        Dial("overlap", 0.0, 0.0, 1.0, "share of each concept's rules that comes from the common grammar"),
        Dial("word_overlap", 1.0, 0.0, 1.0, "share of each symbol's words that is common to all concepts"),
        Dial("concepts", 16, 1, 1024, "number of concepts C"),
        Dial("symbols", 6, 1, 32, "symbols of the grammar, N; the first is the root's"),
        Dial("vocabulary", 32, 2, 4096, "number of words V"),
        Dial("length", 16, 2, 32, "words a document, L"),
        Dial("balance", 0.0, 0.0, 10_000.0, "0: all splits alike; 1000: in the middle, one shape for all"),
        Dial("rule_concentration", 0.05, 0.01, 100.0, "Dirichlet parameter of rules; small: each symbol has few"),
        Dial("word_concentration", 0.05, 0.01, 100.0, "Dirichlet parameter of words; small: symbols tell apart"),
        Dial("zipf", 0.0, 0.0, 3.0, "prior of the k-th concept is proportional to k ** -zipf; 0 is uniform"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.0, "word_overlap": 0.58},
        "medium": {"overlap": 0.0, "word_overlap": 1.0},
        "hard": {"overlap": 0.34, "word_overlap": 1.0},
        "null": {"overlap": 1.0, "word_overlap": 1.0},
    }

    figure_pairs = 512

    prior: Tensor
    rules: Tensor
    words: Tensor
    splits: Tensor
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        distributions = {"prior": self.prior, "rules": self.rules.flatten(2), "words": self.words}
        check_distributions(self.name, distributions | {"splits": self.splits[2:]})
        if self.L < 2 or self.splits.triu().any() or self.splits[:, 0].any():
            raise WorldError(f"world {self.name}: splits: expected those of 2 words or more, zero unless 0 < k < n")

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        random = np.random.default_rng(seed)
        concepts, symbols = dials["concepts"], dials["symbols"]
        rules, words = (
            overlap_mixture(random, concepts, (symbols, outcomes), overlap, concentration, concentration)
            for outcomes, overlap, concentration in (
                (symbols**2, dials["overlap"], dials["rule_concentration"]),
                (dials["vocabulary"], dials["word_overlap"], dials["word_concentration"]),
            )
        )
        rules = rules.unflatten(2, (symbols, symbols))
        splits = split_probabilities(dials["length"], dials["balance"])
        return cls(zipf_prior(concepts, dials["zipf"]), rules, words, splits, dials, seed)

    @property
    def V(self) -> int:
        return self.words.shape[2]

    @property
    def L(self) -> int:
        return len(self.splits) - 1

    @property
    def N(self) -> int:
        """Number of symbols."""
        return self.words.shape[1]

    @property
    def chunk(self) -> int:
        return max(1, super().chunk // self.N)

    @cached_property
    def grammars(self) -> SpanGrammars:
        """The concepts' grammars in the form that the inside algorithm takes."""
        return SpanGrammars(self.rules, self.words, self.splits)

    def parameters(self) -> dict[str, Tensor]:
        return {"prior": self.prior, "rules": self.rules, "words": self.words, "splits": self.splits}

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        """One document for each concept. Latents ``symbols`` and ``covered`` (B, 2 L - 1) tell its derivation.

        They list the derivation's symbols, and how many words each covers, a symbol before its left child's subtree
        and that before its right child's.
        """
        rows, log_prob = torch.arange(len(concepts)), self.log_prior[concepts]
        from_rules, from_words = cumulative(self.rules.flatten(2)), cumulative(self.words)
        from_splits = cumulative(self.splits)
        tokens = concepts.new_zeros(len(concepts), self.L)
        # Symbols that wait to be expanded, the next on top: at most one for every word.
        stack, covers = (concepts.new_zeros(len(concepts), self.L + 1) for _ in range(2))
        covers[:, 0] = self.L
        top, written = torch.zeros_like(concepts), torch.zeros_like(concepts)
        symbols, covered = [], []
        for _ in range(2 * self.L - 1):
            symbol, n = stack[rows, top], covers[rows, top]
            symbols.append(symbol)
            covered.append(n)
            word = draw(from_words[concepts, symbol], 1, generator)[:, 0]
            pair = draw(from_rules[concepts, symbol], 1, generator)[:, 0]
            k = draw(from_splits[n.clamp_min(2)], 1, generator)[:, 0]
            emits = n == 1
            split = self.splits[n, k] * self.rules.flatten(2)[concepts, symbol, pair]
            log_prob = log_prob + torch.where(emits, self.words[concepts, symbol, word], split).log()
            tokens[rows[emits], written[emits]] = word[emits]
            written += emits
            # The right child takes its parent's place and the left one goes on top of it.
            stack[rows, top] = torch.where(emits, 0, pair % self.N)
            covers[rows, top] = torch.where(emits, 0, n - k)
            top = top + torch.where(emits, -1, 1)
            stack[rows[~emits], top[~emits]] = pair[~emits] // self.N
            covers[rows[~emits], top[~emits]] = k[~emits]
        latents = {"concept": concepts, "symbols": torch.stack(symbols, 1), "covered": torch.stack(covered, 1)}
        return Documents(tokens, latents, log_prob)

    def token_log_likelihood(self, tokens: Tensor) -> Tensor:
        words = self.words[:, :, tokens].permute(2, 0, 3, 1).log()
        return (self._preterminals(tokens) + words).logsumexp(3)

    def next_token_log_likelihood(self, tokens: Tensor) -> Tensor:
        weights = self._preterminals(tokens)
        by_concept = [log_mixture(weights[:, c].flatten(0, 1), self.words[c]) for c in range(self.C)]
        return torch.stack(by_concept, 1).unflatten(0, tokens.shape).transpose(1, 2)

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        joint = belief[..., None, None] + preterminal_log_weights(self.grammars, tokens)
        weights, _ = normalise(joint.transpose(1, 2).flatten(2), dim=2)
        return log_mixture(weights.flatten(0, 1), self.words.flatten(0, 1)).unflatten(0, tokens.shape)

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        # Cell t holds the symbol of the span that starts at word t, and how many words it covers; 0 where none starts.
        symbols = [torch.tensor(0)] * self.L
        covers = [torch.tensor(self.L)] + [torch.tensor(0)] * (self.L - 1)
        hidden = {"enumerate": "parallel"}
        # Enumeration passes through impossible splits, after which n may be 0: any law will do there, but a law it is.
        splits = torch.cat([torch.full_like(self.splits[:2], 1 / (self.L + 1)), self.splits[2:]])
        for step in range(self.L - 1):  # the leftmost span of several words is split
            start, symbol, n = torch.tensor(-1), torch.tensor(0), torch.tensor(0)
            for t in reversed(range(self.L)):
                here = covers[t] > 1
                start, symbol = torch.where(here, t, start), torch.where(here, symbols[t], symbol)
                n = torch.where(here, covers[t], n)
            k = pyro.sample(f"{name}_split{step}", dist.Categorical(splits[n]), infer=hidden)
            rules = dist.Categorical(Vindex(self.rules.flatten(2))[concept, symbol])
            pair = pyro.sample(f"{name}_rule{step}", rules, infer=hidden)
            for t in range(self.L):
                left, right = start == t, start + k == t
                symbols[t] = torch.where(left, pair // self.N, torch.where(right, pair % self.N, symbols[t]))
                covers[t] = torch.where(left, k, torch.where(right, n - k, covers[t]))
        for t in range(self.L):
            words = dist.Categorical(Vindex(self.words)[concept, symbols[t]])
            pyro.sample(f"{name}_token{t}", words, obs=None if tokens is None else tokens[:, t])

    def _preterminals(self, tokens: Tensor) -> Tensor:
        """(B, C, L', N) log p(word t is emitted by symbol A | x_<t, c)."""
        return normalise(preterminal_log_weights(self.grammars, tokens), dim=3)[0]


def split_probabilities(length: int, balance: float) -> Tensor:
    """(length + 1, length + 1): row n, p(k | n) proportional to (k (n - k)) ** balance for 0 < k < n, else zero."""
    splits = torch.zeros(length + 1, length + 1, dtype=torch.float64)
    for n in range(2, length + 1):
        k = torch.arange(1, n, dtype=torch.float64)
        splits[n, 1:n] = torch.softmax(balance * (k * (n - k)).log(), 0)
    return splits
