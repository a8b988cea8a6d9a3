"""What a world is: concepts, documents, and exact conditioning on documents.

c ~ pi, d_i ~ P(d | c): documents that share c are related. Three classes, each a special case of the one before:
`Process`, whose documents are rows of numbers of any kind; `World`, whose documents are tokens; `ConceptWorld`, which
has finitely many concepts besides and gives one primitive, log p(x_t | x_<t, c). With continuous concepts a world gives
the belief methods in closed form instead. `synthetic_worlds.exact` needs nothing else of any.

Shapes: B documents, L tokens, C concepts, V vocabulary. All log-probabilities are in nats, float64; an impossible
document has -inf, and conditioning on one leaves a belief of -inf everywhere: it is no distribution, and no NaN.
"""

import dataclasses
import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from synthetic_worlds.categorical import cumulative, draw
from synthetic_worlds.dials import Dial, WorldError

__all__ = ["ConceptWorld", "Dial", "Documents", "Process", "World", "WorldError"]

CHUNK_ELEMENTS = 2**21  # float64 values in the widest intermediate of one chunk: 16 MiB
GPU_CHUNK_ELEMENTS = 2**27  # a GPU wants more documents at a time: 1 GiB


@dataclass(frozen=True)
class Documents:
    """Documents with what made them.

    tokens: (B, L) int64, or float64 (B, D) where documents are vectors; latents: ``concept`` (B,), continuous ones
    (B, ...), and what else the world drew (``states`` (B, L), ...); log_prob: (B,) log p(tokens, latents) in nats, the
    prior of the concept included where there are finitely many, otherwise given the concept.
    """

    tokens: Tensor
    latents: dict[str, Tensor]
    log_prob: Tensor


class Process(ABC):
    """A generative process with a known shared concept, and exact Bayes in it.

    Class attributes say what the world is: ``name``, ``version`` (raised whenever the law of a seed and dials
    changes), ``title``, ``text`` (the process in plain words with its formulas), ``DIALS``, ``PRESETS`` (name -> dial
    settings). Instances carry ``dials`` and ``seed``; both are empty for a world made from given parameters.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    text: ClassVar[str]
    DIALS: ClassVar[tuple[Dial, ...]]
    PRESETS: ClassVar[Mapping[str, Mapping[str, float]]]
    figure_pairs: ClassVar[int] = 4096  # that stored figures average over; fewer where documents cost more
    devices: ClassVar[tuple[str, ...]] = ("cpu",)  # kinds of device that it works on

    dials: Mapping[str, float]
    seed: int | None
    prior: Tensor  # (C,) probabilities of the concepts; a process with continuous ones has none

    @classmethod
    @abstractmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        """Draw the world's parameters from ``seed``; ``dials`` has a checked value for every dial."""

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The numbers that define the law, by name."""

    @abstractmethod
    def check_documents(self, documents: Tensor, rows: int) -> None:
        """Raise WorldError where ``documents`` are not ``rows`` documents of this world."""

    @abstractmethod
    def sample_concepts(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` concepts from the prior, first axis n."""

    @abstractmethod
    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        """One document for each concept."""

    @abstractmethod
    def log_prob_given_concepts(self, concepts: Tensor, documents: Tensor) -> Tensor:
        """(B,) log p(document | concept), a density where documents are continuous."""

    @abstractmethod
    def prior_belief(self, n: int) -> Tensor:
        """What is known of the concept before any document, for each of ``n`` rows: (n, ...)."""

    @abstractmethod
    def update_belief(self, belief: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Belief after also seeing ``tokens`` (B, L'), and (B,) log p(tokens | belief)."""

    @abstractmethod
    def sample_from_belief(self, belief: Tensor, generator: torch.Generator) -> Documents:
        """One document for each row of ``belief``: a concept drawn from it, then a document of that concept."""

    @abstractmethod
    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        """Pyro sample sites of one document a row, inside the plate of rows: observed where ``tokens`` is given.

        ``concept`` is (B, ...), or (C, 1) where Pyro enumerates it.
        """

    def pyro_concept(self, name: str) -> Tensor:
        """Pyro sample site of each row's concept, inside the plate of rows; a continuous concept has its own."""
        import pyro
        import pyro.distributions as dist

        return pyro.sample(name, dist.Categorical(self.prior), infer={"enumerate": "parallel"})

    @property
    @abstractmethod
    def chunk(self) -> int:
        """How many documents exact inference handles at a time."""

    @property
    def log_C(self) -> float:
        """Log of the number of concepts; NaN where they are not finitely many: then there is no `belief_entropy`."""
        return math.nan

    def belief_entropy(self, belief: Tensor) -> Tensor:
        """(B,) entropy of the concept under each row, in nats."""
        raise WorldError(f"world {self.name}: a continuous concept has no entropy of its own")

    def to(self, device: torch.device | str) -> Self:
        """The same world with its parameters on ``device``, where documents and generators must then be too."""
        if torch.device(device).type not in self.devices:
            raise WorldError(f"world {self.name}: device {device}; it works on {', '.join(self.devices)}")
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        moved = {name: value.to(device) for name, value in fields.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **moved)

    def sample(self, n: int, generator: torch.Generator, concepts: Tensor | None = None) -> Documents:
        """``n`` documents; their concepts are drawn from the prior where not given (n, ...)."""
        if concepts is None:
            concepts = self.sample_concepts(n, generator)
        elif len(concepts) != n:
            raise WorldError(f"world {self.name}: {len(concepts)} concepts given for {n} documents")
        return self.sample_given_concepts(concepts, generator)

    def spec(self) -> dict:
        """What identifies the law, as plain JSON: name, version, dials and seed, or the given parameters' hash."""
        spec = {"world": self.name, "version": self.version, "dials": dict(self.dials), "seed": self.seed}
        if self.seed is None:
            digest = hashlib.sha256()
            for name, values in self.parameters().items():
                digest.update(f"{name}{tuple(values.shape)}".encode() + values.double().cpu().numpy().tobytes())
            spec["parameters"] = digest.hexdigest()[:16]
        return spec

    @property
    def spec_hash(self) -> str:
        """16 hexadecimal digits of `spec`."""
        return hash_of(self.spec())

    @property
    def label(self) -> str:
        """Name and dials on one line, e.g. ``bow(overlap=0.6, concepts=16, ...)``."""
        settings = self.dials or {"parameters": self.spec()["parameters"]}
        return f"{self.name}({', '.join(f'{k}={v:g}' if self.dials else f'{k}={v}' for k, v in settings.items())})"

    def description(self) -> str:
        """What the world is and how its dials stand, in plain words."""
        lines = [f"{self.title}\n\n{self.text}\n", "Dials:"]
        for dial in self.DIALS:
            value = f"{self.dials[dial.name]:g}" if self.dials else "given parameters"
            lines.append(f"  {dial.name} = {value}  ({dial.low:g} to {dial.high:g}) {dial.meaning}")
        return "\n".join(lines)


class World(Process):
    """A process whose documents are ``L`` tokens, or prefixes of such."""

    @property
    @abstractmethod
    def V(self) -> int:
        """Vocabulary size: tokens are 0 .. V-1."""

    @property
    @abstractmethod
    def L(self) -> int:
        """Length in tokens of every document."""

    @abstractmethod
    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        """(B, L', V) log p(x_t = v | belief, x_<t) at every position of ``tokens`` (B, L')."""

    @property
    def chunk(self) -> int:
        return max(1, CHUNK_ELEMENTS // (self.L * self.V))

    def spec(self) -> dict:
        spec = super().spec()
        return spec if self.seed is not None else {**spec, "length": self.L}

    def check_documents(self, documents: Tensor, rows: int) -> None:
        shape, kind = tuple(documents.shape), documents.dtype
        if len(shape) != 2 or kind != torch.int64 or not 1 <= shape[1] <= self.L or shape[0] != rows:
            raise WorldError(
                f"world {self.name}: documents of shape {shape} and type {kind}; "
                f"expected int64 of shape ({rows}, 1 to {self.L})"
            )
        if documents.numel() and not 0 <= int(documents.min()) <= int(documents.max()) < self.V:
            raise WorldError(
                f"world {self.name}: tokens {int(documents.min())} to {int(documents.max())}; "
                f"expected 0 to {self.V - 1}"
            )


class ConceptWorld(World):
    """A world with concepts 0 .. C-1. A belief is (B, C): log p(c | documents so far)."""

    @abstractmethod
    def token_log_likelihood(self, tokens: Tensor) -> Tensor:
        """The one primitive: (B, C, L') log p(x_t | x_<t, c) for ``tokens`` (B, L'), L' <= L."""

    @abstractmethod
    def next_token_log_likelihood(self, tokens: Tensor) -> Tensor:
        """(B, C, L', V) log p(x_t = v | x_<t, c) for t = 0 .. L'-1; may be an expanded view."""

    @property
    def C(self) -> int:
        """Number of concepts."""
        return len(self.prior)

    @property
    def log_C(self) -> float:
        return math.log(self.C)

    @cached_property
    def log_prior(self) -> Tensor:
        """(C,) log pi."""
        return self.prior.log()

    @property
    def chunk(self) -> int:
        return max(1, self._chunk_elements // (self.L * max(self.C, self.V)))

    @property
    def _chunk_elements(self) -> int:
        return GPU_CHUNK_ELEMENTS if self.prior.is_cuda else CHUNK_ELEMENTS

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """(B, C) log p(tokens | c); a world overrides it where there is a faster way than the sum over tokens."""
        return self.token_log_likelihood(tokens).sum(-1)

    def log_prob_given_concepts(self, concepts: Tensor, documents: Tensor) -> Tensor:
        return self.log_likelihood(documents).gather(1, concepts[:, None])[:, 0]

    def sample_concepts(self, n: int, generator: torch.Generator) -> Tensor:
        return draw(cumulative(self.prior)[None], n, generator)[0]

    def prior_belief(self, n: int) -> Tensor:
        return self.log_prior.expand(n, -1)

    def update_belief(self, belief: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return normalise(belief + self.log_likelihood(tokens), dim=1)

    def prefix_log_probs(self, belief: Tensor, tokens: Tensor) -> Tensor:
        """(B, L') log p(x_<=t | belief) for every t."""
        return (belief[..., None] + self.token_log_likelihood(tokens).cumsum(-1)).logsumexp(1)

    def beliefs_before_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        """(B, C, L') log p(c | belief, x_<t) for every t."""
        steps = self.token_log_likelihood(tokens)[..., :-1].cumsum(-1)
        return normalise(torch.cat([belief[..., None], belief[..., None] + steps], -1)[..., : tokens.shape[1]], dim=1)[
            0
        ]

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        size = max(1, self._chunk_elements // (self.C * self.L * self.V))
        parts = [
            (self.beliefs_before_tokens(some, text)[..., None] + self.next_token_log_likelihood(text)).logsumexp(1)
            for some, text in zip(belief.split(size), tokens.split(size), strict=True)
        ]
        return torch.cat(parts)

    def sample_from_belief(self, belief: Tensor, generator: torch.Generator) -> Documents:
        if not torch.isfinite(belief).any(1).all():
            raise WorldError(f"world {self.name}: cannot sample given a document that the world never produces")
        return self.sample_given_concepts(draw(cumulative(belief.exp()), 1, generator)[:, 0], generator)

    def belief_entropy(self, belief: Tensor) -> Tensor:
        return torch.special.entr(belief.exp()).sum(1)

    def most_probable(self, belief: Tensor) -> Tensor:
        """The belief (B, ...) that is certain of each row's most probable concept: the plug-in."""
        winners = belief.argmax(dim=1, keepdim=True)
        return torch.full_like(belief, -torch.inf).scatter(1, winners, 0.0)

    def shifted(self, belief: Tensor) -> Tensor:
        """``belief`` with the concepts cyclically relabelled: as sure as before, of the wrong thing."""
        return belief.roll(1, dims=1)


def normalise(log_weights: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Log-weights normalised along ``dim``, and the log of their sum; where the sum is zero all stay -inf."""
    total = log_weights.logsumexp(dim)
    return log_weights - total.masked_fill(total == -torch.inf, 0.0).unsqueeze(dim), total


def hash_of(spec: Mapping) -> str:
    """16 hexadecimal digits of a JSON-able mapping, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
