"""P14: evidence of several documents adds up, in any order; and what chains of synthetic documents forget.

q(d_{m+1} | d_1 .. d_m) of exact Bayes weighs every document once. Along a chain d_1 -> d_2 -> d_3 -> ..., each document
written given the last alone, the concept drifts by the kernel A(c, c') = E[p(c' | d) | c], whose stationary law is the
prior and whose second eigenvalue is how much is kept in a round.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from analysis.bayes_gap import kl_by_token
from analysis.predictions.applicability import informative_concepts
from analysis.predictions.finding import Finding, finding, mean_finding
from analysis.predictions.jackknife import jackknife
from analysis.predictions.one_parameter import cross_entropy, fit_along
from analysis.predictions.subject import Subject
from analysis.predictions.temperature import prior_divergence
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.world import ConceptWorld, normalise

PREDICTION = "P14"
ROUNDS = 3  # synthetic documents of a chain
KERNEL_DOCUMENTS = 2**15
KERNEL_PARTS = 32
BATCH = 256

applies = informative_concepts


def measure(subject: Subject) -> list[Finding]:
    """Drift and stationary law of chains; where the synthesizer takes several documents, order and weight of evidence.

    Of one that takes a single document the chains are a control: they say what P5 and P15 say.

    Cost: `ROUNDS` samples of the synthesizer, and with several documents two of its predictives and about two dozen
    exact ones; the posteriors of 32,768 documents.
    """
    if subject.conditioning > 1:
        return _several(subject) + _chain(subject)
    return [replace(found, control=True) for found in _chain(subject)]


def powered_belief(world: ConceptWorld, power: float, *given: Tensor) -> Tensor:
    """(B, C) log-belief about the concept of a reader who raises the likelihood of each document to ``power``.

    1 is exact Bayes, 0 the prior, and large powers the plug-in.
    """
    evidence = sum(world.log_likelihood(document) for document in given)
    return normalise(world.log_prior + power * evidence.clamp_min(-1e4), dim=1)[0]


def _several(subject: Subject) -> list[Finding]:
    """With two documents and more, up to as many as the synthesizer takes; the next one is drawn from exact Bayes."""
    world, random = subject.world, generator(PREDICTION, "several", subject.seed)
    orders, chunks = [], []
    for d1 in subject.d1.split(BATCH):
        documents = [d1, exact.sample_related(world, random, d1)]
        laws = []
        while len(documents) <= subject.conditioning:
            target = exact.sample_related(world, random, *documents)
            laws.append((subject.synthesizer.next_token_log_probs(target, *documents), target, tuple(documents)))
            documents.append(target)
        chunks.append(laws)
        law, target, given = laws[-1]
        orders.append(kl_by_token(law, subject.synthesizer.next_token_log_probs(target, *reversed(given))).sum(1))

    def losses(power: float) -> Tensor:
        """(N,) for each row of documents the sum over the numbers of them that were given."""
        parts = []
        for laws in chunks:
            predicted = (world.predict_tokens(powered_belief(world, power, *given), d) for _, d, given in laws)
            parts.append(sum(cross_entropy(law, p) for (law, _, _), p in zip(laws, predicted, strict=True)))
        return torch.cat(parts)

    def entropy(power: float) -> float:
        """Mean entropy of the concept after two documents."""
        beliefs = [powered_belief(world, power, *laws[0][2]) for laws in chunks]
        return float(world.belief_entropy(torch.cat(beliefs)).mean())

    counted = fit_along(losses, 0.0, 3.0)
    power, n = counted.value, counted.n
    # How the implied entropy follows the weight of evidence: a change of one standard error, by the tangent.
    slope = (entropy(power + 0.01) - entropy(max(power - 0.01, 0.0))) / 0.02
    left, left_se = entropy(power), abs(slope) * counted.se
    return [
        mean_finding(PREDICTION, "order", subject.name, torch.cat(orders)),
        finding(PREDICTION, "documents counted", subject.name, power, counted.se, n, 1.0),
        finding(PREDICTION, "entropy left after two", subject.name, left, left_se, n, entropy(1.0)),
    ]


@dataclass(frozen=True, eq=False)
class Drift:
    """What chains of exact Bayes keep of the concept in a round.

    contrast: (C,) the function of the concept that is kept longest, the kernel's second eigenvector; kept: the share of
    it that a document has of the last one's, its eigenvalue; se: of kept, from the documents drawn.
    """

    contrast: Tensor
    kept: float
    se: float


@lru_cache(maxsize=4)
def exact_drift(world: ConceptWorld, seed: int = 0) -> Drift:
    """The second eigenvector of A(c, c') = E[p(c' | d) | c] and its eigenvalue, by `KERNEL_DOCUMENTS` documents.

    pi_c A(c, c') = E[p(c | d) p(c' | d)]: symmetric and averaged without drawing concepts (Rao-Blackwell). Half of the
    documents choose the vector and the others measure it, else its eigenvalue would come out too large.
    """
    random = generator(PREDICTION, "kernel", seed)
    parts = []
    for _ in range(KERNEL_PARTS):
        documents = world.sample(KERNEL_DOCUMENTS // KERNEL_PARTS, random).tokens
        posterior = exact.concept_log_posterior(world, documents).exp()
        parts.append(posterior.T @ posterior / len(posterior))
    chosen, measured = torch.stack(parts[::2]), torch.stack(parts[1::2])
    root = world.prior.sqrt()
    vectors = torch.linalg.eigh(chosen.mean(0) / torch.outer(root, root)).eigenvectors
    contrast = vectors[:, -2] / root

    def slope(joint: Tensor) -> float:
        step = joint @ contrast
        return float((step.square() / world.prior).sum() / (contrast @ step))

    return Drift(contrast, *jackknife(slope, measured))


def _chain(subject: Subject) -> list[Finding]:
    """Chains from every d1; posteriors of their documents are exact."""
    world, random = subject.world, generator(PREDICTION, "chain", subject.seed)
    exactly = exact_drift(world)
    document, posteriors = subject.d1, [subject.posterior]
    for _ in range(ROUNDS):
        document = subject.synthesizer.sample(random, document)
        posteriors.append(exact.concept_log_posterior(world, document).exp())
    held = torch.stack([posterior @ exactly.contrast for posterior in posteriors], 1)
    together, alone = (held[:, :-1] * held[:, 1:]).sum(1), held[:, :-1].square().sum(1)
    kept, se = jackknife(lambda above, below: float(above / below), together, alone)
    divergence, divergence_se = prior_divergence(posteriors[-1], world.prior)
    n = len(document)
    return [
        finding(PREDICTION, "kept in a round", subject.name, kept, (se**2 + exactly.se**2) ** 0.5, n, exactly.kept),
        finding(PREDICTION, "prior after three rounds", subject.name, divergence, divergence_se, n),
    ]
