"""Exact Bayes in any world, from its belief methods alone: evidence, posterior, predictive, sampling, information.

Documents are (B, L') int64 tensors, or (B, D) float64 where a process makes vectors; every function takes any number of
conditioning documents and works through them in chunks, so that memory stays bounded. Log-probabilities are in nats,
float64. A document that the world never produces has evidence -inf, and everything conditioned on it is -inf too, never
NaN.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic_worlds.world import ConceptWorld, Process, World, WorldError


def log_evidence(world: Process, tokens: Tensor) -> Tensor:
    """(B,) log p(d)."""
    return log_predictive(world, tokens)


def concept_log_posterior(world: ConceptWorld, *documents: Tensor) -> Tensor:
    """(B, C) log p(c | documents), the documents of a row sharing their concept; rows sum to one.

    A row with an impossible document is -inf throughout.
    """
    if not isinstance(world, ConceptWorld):
        raise WorldError(f"world {world.name}: no finite set of concepts to have a posterior over")
    return map_beliefs(world, lambda belief: belief, *documents)


def map_beliefs(world: Process, function: Callable[[Tensor], Tensor], *documents: Tensor) -> Tensor:
    """``function`` of the belief after ``documents``, row by row: (B, ...) -> (B, ...)."""
    return _chunked(world, lambda *given: function(_belief(world, *given)), *documents)


def log_predictive(world: Process, d2: Tensor, *given: Tensor) -> Tensor:
    """(B,) log p(d2 | given), all documents of a row sharing their concept; without ``given`` the evidence."""
    return _chunked(world, lambda d2, *given: world.update_belief(_belief(world, *given, like=d2), d2)[1], d2, *given)


def prefix_log_probs(world: ConceptWorld, d2: Tensor, *given: Tensor) -> Tensor:
    """(B, L') log p(d2_<=t | given) for every t: `log_predictive` of all prefixes of d2 in one pass."""
    if not isinstance(world, ConceptWorld):
        raise WorldError(f"world {world.name}: no finite set of concepts to sum over")
    return _chunked(world, lambda d2, *given: world.prefix_log_probs(_belief(world, *given, like=d2), d2), d2, *given)


def next_token_log_probs(world: World, d2: Tensor, *given: Tensor) -> Tensor:
    """(B, L', V) log p(x_t = v | x_<t, given) at every position t of d2.

    The entries at d2's own tokens sum to `log_predictive`. Positions after an impossible prefix are -inf throughout.
    """
    if not isinstance(world, World):
        raise WorldError(f"world {world.name}: its documents are vectors; it has no next token")
    return _chunked(world, lambda d2, *given: world.predict_tokens(_belief(world, *given, like=d2), d2), d2, *given)


def sample_related(world: Process, generator: torch.Generator, *given: Tensor) -> Tensor:
    """(B, L) one document for each row, drawn from p(d2 | given): c ~ p(c | given), then d2 ~ p(d | c).

    Raises WorldError where a given document is impossible.
    """
    return _chunked(world, lambda *given: world.sample_from_belief(_belief(world, *given), generator).tokens, *given)


@dataclass(frozen=True)
class Information:
    """How much documents say, in nats, each with its Monte-Carlo standard error.

    H_c_given_d1: entropy of the concept given one document; I_c_d1: information of one document on the concept;
    I_d1_d2: between two related documents, what ignoring d1 costs in nats a document; H_c: the prior's entropy;
    log_C: log of the number of concepts; n: pairs of documents drawn. Where the concept is continuous H_c_given_d1, H_c
    and log_C are NaN: see `information`.
    """

    H_c_given_d1: float
    H_c_given_d1_se: float
    I_c_d1: float
    I_c_d1_se: float
    I_d1_d2: float
    I_d1_d2_se: float
    H_c: float
    log_C: float
    n: int

    @property
    def ambiguity(self) -> float:
        """H(c|d1) / H(c): 0 where a document identifies its concept, 1 where it says nothing. H(c) = log C where all
        concepts are equally frequent. For a continuous concept 1 - I(d1;d2) / I(c;d1): the share of what the concept
        would tell of d2 that d1 does not tell."""
        if math.isnan(self.H_c):
            return 1 - self.I_d1_d2 / self.I_c_d1 if self.I_c_d1 > 1e-12 else 1.0
        return self.H_c_given_d1 / self.H_c if self.H_c else 0.0


def information(world: Process, n: int, generator: torch.Generator) -> Information:
    """The world's information figures from ``n`` sampled pairs; the densities are exact, only the average is sampled.

    I(d1;d2) averages log p(d2|d1) - log p(d2). With finitely many concepts the concept is integrated out
    (Rao-Blackwell): H(c|d1) averages the entropy of the exact posterior, and I(c;d1) is H(c) less that. A continuous
    concept has no such entropy (a differential one depends on the coordinates chosen for the concept): its two fields
    are NaN, and I(c;d1), which does not depend on them, averages log p(d|c) - log p(d).
    """
    finite = not math.isnan(world.log_C)
    knowledge, gains = [], []
    for start in range(0, n, world.chunk):
        concepts = world.sample_concepts(min(world.chunk, n - start), generator)
        d1 = world.sample_given_concepts(concepts, generator).tokens
        d2 = world.sample_given_concepts(concepts, generator).tokens
        belief, evidence = _belief(world, d1), log_evidence(world, d2)
        gains.append(world.update_belief(belief, d2)[1] - evidence)
        knowledge.append(
            world.belief_entropy(belief) if finite else world.log_prob_given_concepts(concepts, d2) - evidence
        )
    known, gain = torch.cat(knowledge), torch.cat(gains)
    known_mean, known_se = float(known.mean()), float(known.std()) / math.sqrt(n)
    prior_entropy = world.belief_entropy(world.prior_belief(1)).item() if finite else math.nan
    return Information(
        H_c_given_d1=known_mean if finite else math.nan,
        H_c_given_d1_se=known_se if finite else math.nan,
        I_c_d1=prior_entropy - known_mean if finite else known_mean,
        I_c_d1_se=known_se,
        I_d1_d2=float(gain.mean()),
        I_d1_d2_se=float(gain.std()) / math.sqrt(n),
        H_c=prior_entropy,
        log_C=world.log_C,
        n=len(gain),
    )


def _belief(world: Process, *given: Tensor, like: Tensor | None = None) -> Tensor:
    """Belief after ``given``; without any, the prior for as many rows as ``like`` has."""
    belief = world.prior_belief(len(given[0] if like is None else like))
    for document in given:
        belief, _ = world.update_belief(belief, document)
    return belief


def _chunked(world: Process, function: Callable[..., Tensor], *documents: Tensor) -> Tensor:
    """``function`` over chunks of checked documents, put together again."""
    if not documents:
        raise WorldError(f"world {world.name}: expected at least one document to condition on")
    for document in documents:
        world.check_documents(document, len(documents[0]))
    chunks = zip(*(document.split(world.chunk) for document in documents), strict=True)
    return torch.cat([function(*chunk) for chunk in chunks])
