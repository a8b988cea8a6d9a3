"""W5: what a document says (its concept, shared by related documents) and how it says it (its style, its own)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.categorical import check_distributions, cumulative, draw, overlap_mixture, zipf_prior
from synthetic_worlds.dials import Dial
from synthetic_worlds.hidden_mixture import log_mixture
from synthetic_worlds.world import ConceptWorld, Documents, normalise


@dataclass(frozen=True, eq=False)
class ConceptStyle(ConceptWorld):
    """c ~ Categorical(prior), z ~ Categorical(style_prior), x_t ~ Categorical(words[c, z, r_t]).

    prior: (C,); style_prior: (Z,); words: (C, Z, R, V). R = 1: words are independent, r_t = 0. R = V + 1: each word
    depends on the one before, r_t = x_(t-1), and r_0 = V. length: L tokens.
    """

    name = "style"
    version = 1
    title = "Concept times style (W5)"
    text = """\
A concept says which words a document is about, a style says how it puts them: it multiplies the odds of each word, by
the same factors whatever the concept. Related documents share the concept c; each has a style z of its own:
    c ~ Categorical(pi),  z ~ Categorical(rho),  x_t ~ Categorical(phi_cz)
    phi_cz(v) is proportional to phi_c(v) * exp(strength * g_z(v)),  g_z(v) ~ Normal(0, 1)
    phi_c = overlap * phi_0 + (1 - overlap) * phi'_c,  phi_0 ~ Dirichlet(1),  phi'_c ~ Dirichlet(concentration)
At order 1 all of these depend on the word before too: phi_cz(v | x_(t-1)). The style is summed out for each document
afresh, so that within a document the words reveal it and the next document owes it nothing:
    p(x_t | x_<t, c) = sum_z p(z | x_<t, c) phi_cz(x_t),   p(z | x_<t, c) is proportional to rho_z prod_s<t phi_cz(x_s)
    p(c | d1, ..., dm) is proportional to pi_c * prod_i sum_z rho_z p(d_i | c, z)
    p(d2 | d1) = sum_c p(c | d1) p(d2 | c)
A synthesizer that copies the style of d1 is a paraphraser; exact Bayes draws a new one. At strength 0 all styles are
the same; at overlap 1 all concepts are, and one document says nothing of another: every gain must be zero.
Cost: L * C * Z a document for the posterior, L * C * Z * V for the predictive at every position."""
    DIALS = (
        Dial("overlap", 0.64, 0.0, 1.0, "share of each concept's words that comes from the common distribution"),
        Dial("strength", 0.5, 0.0, 4.0, "standard deviation of the log-odds by which a style changes words"),
        Dial("concepts", 16, 1, 4096, "number of concepts C"),
        Dial("styles", 4, 1, 256, "number of styles Z, equally frequent"),
        Dial("vocabulary", 32, 2, 4096, "number of words V"),
        Dial("length", 16, 1, 4096, "words a document, L"),
        Dial("order", 0, 0, 1, "0: words independent given concept and style; 1: each depends on the word before"),
        Dial("concentration", 0.3, 0.01, 100.0, "Dirichlet parameter of each concept's own words; small is peaked"),
        Dial("zipf", 0.0, 0.0, 3.0, "prior of the k-th concept is proportional to k ** -zipf; 0 is uniform"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.43},
        "medium": {"overlap": 0.64},
        "hard": {"overlap": 0.81},
        "null": {"overlap": 1.0},
    }

    prior: Tensor
    style_prior: Tensor
    words: Tensor
    length: int
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        check_distributions(self.name, self.parameters())

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        random = np.random.default_rng(seed)
        vocabulary, styles = dials["vocabulary"], dials["styles"]
        rows = (vocabulary + 1, vocabulary) if dials["order"] else (1, vocabulary)
        by_concept = overlap_mixture(random, dials["concepts"], rows, dials["overlap"], dials["concentration"])
        factors = torch.from_numpy(np.exp(dials["strength"] * random.standard_normal((styles, *rows))))
        words = by_concept[:, None] * factors
        prior = zipf_prior(dials["concepts"], dials["zipf"])
        return cls(prior, zipf_prior(styles, 0.0), words / words.sum(-1, keepdim=True), dials["length"], dials, seed)

    @property
    def V(self) -> int:
        return self.words.shape[3]

    @property
    def L(self) -> int:
        return self.length

    @property
    def Z(self) -> int:
        """Number of styles."""
        return len(self.style_prior)

    @property
    def chunk(self) -> int:
        return max(1, super().chunk // self.Z)

    @cached_property
    def log_words_RVCZ(self) -> Tensor:
        """Log word probabilities with the previous word and the word first: they select one contiguous row."""
        return self.words.log().permute(2, 3, 0, 1).contiguous()

    def parameters(self) -> dict[str, Tensor]:
        return {"prior": self.prior, "style_prior": self.style_prior, "words": self.words}

    def rows(self, tokens: Tensor) -> Tensor:
        """(B, L') which row of ``words`` each of ``tokens`` (B, L') is drawn from."""
        if self.words.shape[2] == 1:
            return torch.zeros_like(tokens)
        return torch.cat([torch.full_like(tokens[:, :1], self.V), tokens[:, :-1]], 1)

    def sample_styles(self, n: int, generator: torch.Generator) -> Tensor:
        """(n,) styles from their prior."""
        return draw(cumulative(self.style_prior)[None], n, generator)[0]

    def sample_given_concepts(
        self, concepts: Tensor, generator: torch.Generator, styles: Tensor | None = None
    ) -> Documents:
        """One document for each concept; ``styles`` (B,) are drawn from their prior where not given."""
        if styles is None:
            styles = self.sample_styles(len(concepts), generator)
        sums = cumulative(self.words)
        tokens = concepts.new_zeros(len(concepts), self.L)
        for t in range(self.L):
            row = self.rows(tokens[:, : t + 1])[:, -1]
            tokens[:, t] = draw(sums[concepts, styles, row], 1, generator)[:, 0]
        chosen = self.log_words_RVCZ[self.rows(tokens), tokens, concepts[:, None], styles[:, None]]
        log_prob = self.log_prior[concepts] + self.style_prior[styles].log() + chosen.sum(1)
        return Documents(tokens, {"concept": concepts, "style": styles}, log_prob)

    def concept_and_style_world(self) -> "ConceptStyle":
        """The same documents, with concept c and style z together as the concept c * Z + z, and one style."""
        both = (self.prior[:, None] * self.style_prior).flatten()
        return ConceptStyle(both, torch.ones(1, dtype=torch.float64), self.words.flatten(0, 1)[:, None], self.length)

    def style_log_posterior(self, tokens: Tensor, belief: Tensor | None = None) -> Tensor:
        """(B, Z) log p(style | tokens), the concept summed out under ``belief`` (B, C) or else its prior."""
        belief = self.prior_belief(len(tokens)) if belief is None else belief
        joint = belief[..., None] + self.style_prior.log() + self._log_words_at(tokens).sum(1)
        return normalise(joint.logsumexp(1), dim=1)[0]

    def token_log_likelihood(self, tokens: Tensor) -> Tensor:
        return (self._styles_before_tokens(tokens) + self._log_words_at(tokens)).logsumexp(3).transpose(1, 2)

    def next_token_log_likelihood(self, tokens: Tensor) -> Tensor:
        words = self.log_words_RVCZ[self.rows(tokens)]  # (B, L', V, C, Z)
        return (words + self._styles_before_tokens(tokens)[:, :, None]).logsumexp(4).permute(0, 3, 1, 2)

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        return (self.style_prior.log() + self._log_words_at(tokens).sum(1)).logsumexp(2)

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        start = (belief[..., None] + self.style_prior.log()).flatten(1)
        weights = _beliefs_before(start, self._log_words_at(tokens).flatten(2))
        words, rows = self.words.permute(2, 0, 1, 3).flatten(1, 2), self.rows(tokens)
        result = weights.new_empty(*tokens.shape, self.V)
        for row in rows.unique():
            here = rows == row
            result[here] = log_mixture(weights[here], words[row])
        return result

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        style = pyro.sample(f"{name}_style", dist.Categorical(self.style_prior), infer={"enumerate": "parallel"})
        independent, previous = self.words.shape[2] == 1, torch.tensor(self.V)
        for t in range(self.L):
            row = torch.tensor(0) if independent else previous
            words = dist.Categorical(Vindex(self.words)[concept, style, row])
            previous = pyro.sample(f"{name}_token{t}", words, obs=None if tokens is None else tokens[:, t])

    def _log_words_at(self, tokens: Tensor) -> Tensor:
        """(B, L', C, Z) log p(x_t | x_(t-1), c, z)."""
        return self.log_words_RVCZ[self.rows(tokens), tokens]

    def _styles_before_tokens(self, tokens: Tensor) -> Tensor:
        """(B, L', C, Z) log p(z | x_<t, c)."""
        start = self.style_prior.log().expand(len(tokens), self.C, -1)
        return _beliefs_before(start, self._log_words_at(tokens))


def _beliefs_before(start: Tensor, steps: Tensor) -> Tensor:
    """From log-weights (B, ...) and what each token adds (B, L', ...): normalised (B, L', ...) before each token."""
    weights = start[:, None] + torch.cat([torch.zeros_like(steps[:, :1]), steps[:, :-1].cumsum(1)], 1)
    return normalise(weights, dim=-1)[0]
