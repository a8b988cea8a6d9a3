"""W9: concepts and documents are vectors, related linearly with Gaussian noise: everything has a closed form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from synthetic_worlds.dials import Dial
from synthetic_worlds.world import CHUNK_ELEMENTS, Documents, Process, WorldError

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class LinearGaussian(Process):
    """c ~ N(0, I_q), d = loading c + sqrt(noise) * N(0, I_D); documents are float64 (B, D).

    loading: (D, q); noise: (D,) variances over 0. The concept is c (q,). A belief is (B, 1 + r): how many documents,
    then their sum in the r = min(D, q) coordinates that depend on c, see `axes`.
    """

    name = "gaussian"
    version = 1
    title = "Linear-Gaussian (W9)"
    text = """\
A concept is a point of a space of `factors` dimensions; a document is a vector of `width` numbers, not of words:
    c ~ N(0, I_q),  d = W c + noise,  noise ~ N(0, R)
    W = sqrt(1 - overlap) * W_0, where every coordinate of W_0 c has variance 1;  R = overlap * I_D
Related documents share c. With A = W' R^-1 W, whose eigenvalues s_i are signal-to-noise ratios:
    p(c | d1, ..., dm) = N(S W' R^-1 (d1 + ... + dm), S),  S = (I + m A)^-1
    p(d | d1, ..., dm) = N(W E[c | d1, ..., dm], W S W' + R)
    I(c;d1) = 1/2 log det(I + A) = 1/2 sum_i log(1 + s_i)
    I(d1;d2) = 1/2 sum_i log((1 + s_i)^2 / (1 + 2 s_i))
Evidence and predictive are densities. The concept is continuous, so H(c|d1) is not a figure here (a differential
entropy depends on coordinates). Easy, medium and hard say that d1 gives about 85, 60 and 30 % of what c would give of
d2. At overlap 1 documents are noise alone and every gain must be zero. There are no tokens, so no transformer can be
trained on it by `sbp run`: it is for laws of gain that can be solved on paper.
Cost: D * q a document."""
    DIALS = (
        Dial("overlap", 0.56, 1e-6, 1.0, "share of a document's variance that is noise"),
        Dial("factors", 4, 1, 1024, "dimensions of a concept, q"),
        Dial("width", 16, 1, 4096, "dimensions of a document, D"),
    )
    PRESETS: ClassVar = {
        "easy": {"overlap": 0.03},
        "medium": {"overlap": 0.56},
        "hard": {"overlap": 0.9},
        "null": {"overlap": 1.0},
    }

    loading: Tensor
    noise: Tensor
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        fits = self.loading.ndim == 2 and self.noise.shape == self.loading.shape[:1]
        if not fits or self.loading.dtype != torch.float64 or not (self.noise > 0).all():
            raise WorldError(
                f"world {self.name}: loading {tuple(self.loading.shape)}, noise {tuple(self.noise.shape)}: "
                "expected float64 (D, q) and D variances over 0"
            )

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        directions = np.random.default_rng(seed).standard_normal((dials["width"], dials["factors"]))
        directions = torch.from_numpy(directions / np.linalg.norm(directions, axis=1, keepdims=True))
        noise = torch.full((dials["width"],), float(dials["overlap"]), dtype=torch.float64)
        return cls(math.sqrt(1 - dials["overlap"]) * directions, noise, dials, seed)

    @property
    def D(self) -> int:
        """Numbers in a document."""
        return self.loading.shape[0]

    @property
    def q(self) -> int:
        """Dimensions of a concept."""
        return self.loading.shape[1]

    @property
    def chunk(self) -> int:
        return max(1, CHUNK_ELEMENTS // (self.D + self.q))

    @cached_property
    def axes(self) -> tuple[Tensor, Tensor, Tensor]:
        """P (D, r), s (r,), Q (q, r) with R^(-1/2) W = P diag(sqrt(s)) Q'.

        In coordinates y = P' R^(-1/2) d and g = Q' c the world is r independent y_i = sqrt(s_i) g_i + N(0, 1); what of
        R^(-1/2) d lies outside P is standard normal, whatever c is.
        """
        left, root, right = torch.linalg.svd(self.loading / self.noise.sqrt()[:, None], full_matrices=False)
        return left, root.square(), right.T

    def parameters(self) -> dict[str, Tensor]:
        return {"loading": self.loading, "noise": self.noise}

    def check_documents(self, documents: Tensor, rows: int) -> None:
        if documents.dtype != torch.float64 or documents.shape != (rows, self.D) or not documents.isfinite().all():
            raise WorldError(
                f"world {self.name}: documents of shape {tuple(documents.shape)} and type {documents.dtype}; "
                f"expected finite float64 of shape ({rows}, {self.D})"
            )

    def sample_concepts(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.q, dtype=torch.float64, generator=generator)

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        noise = torch.randn(len(concepts), self.D, dtype=torch.float64, generator=generator)
        documents = concepts @ self.loading.T + noise * self.noise.sqrt()
        return Documents(documents, {"concept": concepts}, self.log_prob_given_concepts(concepts, documents))

    def log_prob_given_concepts(self, concepts: Tensor, documents: Tensor) -> Tensor:
        squares = (documents - concepts @ self.loading.T).square() / self.noise
        return -0.5 * (squares + self.noise.log() + LOG_2PI).sum(1)

    def prior_belief(self, n: int) -> Tensor:
        return torch.zeros(n, 1 + len(self.axes[1]), dtype=torch.float64)

    def update_belief(self, belief: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        left, signal, _ = self.axes
        white = tokens / self.noise.sqrt()
        y = white @ left
        mean, variance = self._coordinates(belief)
        spread = 1 + signal * variance
        inside = (y - signal.sqrt() * mean).square() / spread + spread.log()
        outside = (white - y @ left.T).square().sum(1)
        log_prob = -0.5 * (inside.sum(1) + outside + self.noise.log().sum() + self.D * LOG_2PI)
        return belief + torch.cat([torch.ones(len(y), 1, dtype=torch.float64), y], 1), log_prob

    def sample_from_belief(self, belief: Tensor, generator: torch.Generator) -> Documents:
        mean, covariance = self.concept_posterior(belief)
        normal = self.sample_concepts(len(belief), generator)[..., None]
        concepts = mean + (torch.linalg.cholesky(covariance) @ normal)[..., 0]
        return self.sample_given_concepts(concepts, generator)

    def concept_posterior(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, q) and covariance (B, q, q) of the concept under each row of ``belief``."""
        right = self.axes[2]
        mean, variance = self._coordinates(belief)
        identity = torch.eye(self.q, dtype=torch.float64)
        return mean @ right.T, identity + (right * (variance - 1)[:, None]) @ right.T

    def concept_information(self) -> float:
        """I(c;d1) in nats, in closed form."""
        return 0.5 * float(torch.log1p(self.axes[1]).sum())

    def pair_information(self) -> float:
        """I(d1;d2) in nats, in closed form."""
        signal = self.axes[1]
        return 0.5 * float((2 * torch.log1p(signal) - torch.log1p(2 * signal)).sum())

    def pyro_concept(self, name: str) -> Tensor:
        import pyro
        import pyro.distributions as dist

        return pyro.sample(name, dist.Normal(torch.zeros(self.q).double(), 1.0).to_event(1))

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        import pyro
        import pyro.distributions as dist

        pyro.sample(name, dist.Normal(concept @ self.loading.T, self.noise.sqrt()).to_event(1), obs=tokens)

    def _coordinates(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (B, r) of g = Q' c."""
        signal = self.axes[1]
        variance = 1 / (1 + belief[:, :1] * signal)
        return variance * signal.sqrt() * belief[:, 1:], variance
