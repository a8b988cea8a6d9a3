"""W4: each concept is a hidden Markov model; a document is one run of its concept's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds import hmm_forward
from synthetic_worlds.categorical import check_distributions, cumulative, draw, overlap_mixture, zipf_prior
from synthetic_worlds.dials import Dial
from synthetic_worlds.world import ConceptWorld, Documents


@dataclass(frozen=True, eq=False)
class ConceptHMM(ConceptWorld):
    """c ~ Categorical(prior), s_0 ~ initial[c], x_t ~ emission[c, s_t], s_{t+1} ~ transition[c, s_t].

    prior: (C,); initial: (C, S); transition: (C, S, S); emission: (C, S, V); length: L tokens.
    """

    name = "hmm"
    version = 1
    title = "Concept hidden Markov model (W4)"
    text = """\
A concept is a hidden Markov model. A document is one run of `length` steps of its concept's model:
    c ~ Categorical(pi),  s_0 ~ Categorical(a_c),  x_t ~ Categorical(B_c[s_t]),  s_(t+1) ~ Categorical(A_c[s_t])
    each row of a_c, A_c and B_c is  overlap * common row + (1 - overlap) * own row,
    common rows ~ Dirichlet(1), each concept's own rows ~ Dirichlet(concentration)
Related documents share c, and each has a path of states of its own. The posterior depends on the order of the words,
not on their counts alone. Exact Bayes by the forward algorithm, f_t(s) = p(x_0 .. x_t, s_t = s | c):
    f_(t+1)(s) = B_c[s, x_(t+1)] * sum_r f_t(r) A_c[r, s],   p(d | c) = sum_s f_(L-1)(s)
    p(c | d1, ..., dm) is proportional to pi_c * prod_i p(d_i | c),  p(d2 | d1) = sum_c p(c | d1) p(d2 | c)
At overlap 1 all concepts are the same and one document says nothing of another: every gain must be zero.
Cost: L * C * S^2 a document for the posterior, L * C * S * V more for the predictive at every position."""
    DIALS = (
        Dial("overlap", 0.4, 0.0, 1.0, "share of each concept's rows that comes from the common rows"),
        Dial("concepts", 16, 1, 4096, "number of concepts C"),
        Dial("states", 8, 1, 256, "hidden states of each concept, S"),
        Dial("vocabulary", 32, 2, 65536, "number of words V"),
        Dial("length", 32, 1, 4096, "words a document, L"),
        Dial("concentration", 0.3, 0.01, 100.0, "Dirichlet parameter of each concept's own rows; small is peaked"),
        Dial("zipf", 0.0, 0.0, 3.0, "prior of the k-th concept is proportional to k ** -zipf; 0 is uniform"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.21},
        "medium": {"overlap": 0.4},
        "hard": {"overlap": 0.62},
        "null": {"overlap": 1.0},
    }

    devices = ("cpu", "cuda")

    prior: Tensor
    initial: Tensor
    transition: Tensor
    emission: Tensor
    length: int
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        check_distributions(self.name, self.parameters())

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        random = np.random.default_rng(seed)
        states, vocabulary = dials["states"], dials["vocabulary"]
        initial, transition, emission = (
            overlap_mixture(random, dials["concepts"], shape, dials["overlap"], dials["concentration"])
            for shape in ((states,), (states, states), (states, vocabulary))
        )
        prior = zipf_prior(dials["concepts"], dials["zipf"])
        return cls(prior, initial, transition, emission, dials["length"], dials, seed)

    @property
    def V(self) -> int:
        return self.emission.shape[2]

    @property
    def L(self) -> int:
        return self.length

    @property
    def S(self) -> int:
        """Number of hidden states."""
        return self.initial.shape[1]

    @cached_property
    def models(self) -> hmm_forward.HiddenMarkovModels:
        """The concepts' models in the form that the forward algorithm takes."""
        return hmm_forward.HiddenMarkovModels(self.initial, self.transition, self.emission)

    def parameters(self) -> dict[str, Tensor]:
        return {
            "prior": self.prior,
            "initial": self.initial,
            "transition": self.transition,
            "emission": self.emission,
        }

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        from_initial, from_state, from_words = map(cumulative, (self.initial, self.transition, self.emission))
        state = draw(from_initial[concepts], 1, generator)[:, 0]
        log_prob = self.log_prior[concepts] + self.initial[concepts, state].log()
        states, tokens = [], []
        for t in range(self.L):
            if t:
                previous, state = state, draw(from_state[concepts, state], 1, generator)[:, 0]
                log_prob = log_prob + self.transition[concepts, previous, state].log()
            token = draw(from_words[concepts, state], 1, generator)[:, 0]
            log_prob = log_prob + self.emission[concepts, state, token].log()
            states.append(state)
            tokens.append(token)
        latents = {"concept": concepts, "states": torch.stack(states, 1)}
        return Documents(torch.stack(tokens, 1), latents, log_prob)

    def token_log_likelihood(self, tokens: Tensor) -> Tensor:
        prefix = hmm_forward.prefix_log_likelihood(self.models, tokens)
        # After an impossible token both prefixes are -inf: their ratio is taken as -inf too, not NaN.
        return prefix[..., 1:] - prefix[..., :-1].masked_fill(prefix[..., 1:] == -torch.inf, 0.0)

    def next_token_log_likelihood(self, tokens: Tensor) -> Tensor:
        return hmm_forward.next_token_log_likelihood(self.models, tokens)

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        return hmm_forward.log_likelihood(self.models, tokens)

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        result, lossy = hmm_forward.mixture_next_token_log_probs(self.models, belief, tokens)
        if lossy.any():
            result[lossy] = super().predict_tokens(belief[lossy], tokens[lossy])
        return result

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        state = None
        for t in pyro.markov(range(self.L)):
            row = Vindex(self.initial)[concept] if state is None else Vindex(self.transition)[concept, state]
            state = pyro.sample(f"{name}_state{t}", dist.Categorical(row), infer={"enumerate": "parallel"})
            words = dist.Categorical(Vindex(self.emission)[concept, state])
            pyro.sample(f"{name}_token{t}", words, obs=None if tokens is None else tokens[:, t])
