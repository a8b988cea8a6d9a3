"""P9: the pairing is the model. A synthesizer learns the law of the pairs it was given, not of relatedness as such.

Pairs that a rule makes have the law p(d2 | d1) = p(d2) s(d1, d2) / Z(d1), p(d2) tilted by the rule. It equals the
posterior predictive of the concept only where the rule knows no more and no less than the concept.

Where the rule looks at the words (similarity) that law is known only as its projection on concept and style, which
knows nothing of words in common. There pairs of the rule that tuning did not see are the judge: on them the
synthesizer may be no worse than the projection, and better is no fault. The other quantities are left out: each would
take the projection for the law.
"""

import math

import torch
from torch import Tensor

from analysis.bayes_gap import kl_by_token
from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions.applicability import sampled_pairs
from analysis.predictions.finding import Finding, mean_finding, paired_finding, ratio_finding
from analysis.predictions.subject import Subject
from analysis.synthesizers import BeliefSynthesizer, ExactSynthesizer, Synthesizer, document_log_probs
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds.world import ConceptWorld

PREDICTION = "P9"
BATCH = 256
MOST_STEPS = 500
ENOUGH, PATIENCE = 1e-4, 5  # nats a document that so many steps must gain, or the fit ends
HELDOUT = 8  # one pair in so many tells when to stop
NOTHING = 1e-9  # nats a document: what rounding leaves of no information


class TiltedSynthesizer(BeliefSynthesizer):
    """The law of d2 given d1 of pairs whose latents u have the joint frequencies ``matrix`` (U, U), u1 by u2.

    p(d2 | d1) is proportional to sum_(u1, u2) matrix[u1, u2] P(d1 | u1) P(d2 | u2). The latents are the concepts of
    ``world``: of a world with styles, concept and style together (`latents_of`).
    """

    name = "law of its pairing rule"

    def __init__(self, world: ConceptWorld, matrix: Tensor):
        super().__init__(world)
        self.log_matrix = matrix.log()

    def belief(self, *given: Tensor) -> Tensor:
        (d1,) = given
        joint = (self.world.log_likelihood(d1)[..., None] + self.log_matrix).logsumexp(1)
        return torch.log_softmax(joint, 1)


def latents_of(world: ConceptWorld) -> ConceptWorld:
    """The same documents with all that a document is about and how it says it as its concept."""
    return world.concept_and_style_world() if hasattr(world, "concept_and_style_world") else world


def tilted_synthesizer(documents: Tensor, pairs: Tensor, world: ConceptWorld) -> TiltedSynthesizer:
    """The law of the rule that made ``pairs``, estimated from them and the documents alone.

    documents: (N, L); pairs: (M, 2) document numbers, d1 first; world: one with finitely many concepts. How often two
    latents are paired is estimated by maximum likelihood, the latents summed out (EM from chance and equality half
    and half), stopped on one pair in eight where it begins to fit noise: U^2 / 2M nats a document at the worst.
    Exact for rules that go by the latents (truth, any share of wrong pairs, re-weighted concepts, a shared style,
    random). Of a rule that looks at the words it is the projection: documents count through their latents alone, and
    it generalises to unseen documents through what they say of those.
    Raises UserError where there are too few pairs to leave one out. Cost: M * U^2 a step.
    """
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) < 2 * HELDOUT:
        raise UserError(
            f"pairs of shape {tuple(pairs.shape)}: expected (M, 2) document numbers, M at least {2 * HELDOUT}"
        )
    latents = latents_of(world)
    likelihood = torch.cat([latents.log_likelihood(part) for part in documents.split(latents.chunk)])
    likelihood = (likelihood - likelihood.amax(1, keepdim=True)).exp()
    first, second = likelihood[pairs[:, 0]], likelihood[pairs[:, 1]]
    # By document: partners of one d1 are alike.
    heldout = pairs[:, 0] % HELDOUT == 0
    if heldout.all() or not heldout.any():
        raise UserError("pairs: all of one d1; expected pairs of many documents")
    prior = latents.prior
    start = 0.5 * torch.outer(prior, prior) + 0.5 * torch.diag(prior)
    return TiltedSynthesizer(
        latents, _joint_frequencies(start, (first[~heldout], second[~heldout]), (first[heldout], second[heldout]))
    )


def own_law_alone(subject: Subject, d2: Tensor) -> Tensor:
    """(B, L, V) the next-token law of d2 by itself in the subject's pairs: what ignores d1 can learn from them.

    Related, wrong and copied partners and those of one style all have the prior of the pairs' concepts.
    """
    prior, world = subject.pairs.prior, subject.world
    return world.predict_tokens(world.prior_belief(len(d2)) if prior is None else prior.log().expand(len(d2), -1), d2)


def measure(subject: Subject) -> list[Finding]:
    """Gap to the law of its own pairs, in bits a token and as a share of what d1 says of d2 in them; distance from
    exact Bayes, which that law fixes; dependence on d1, likewise. Of pairs found by similarity the gap alone (module).

    The share is left out where d1 says nothing of d2, as in random pairs.
    Cost: one sample and two predictives of the own law and of exact Bayes, three predictives of the subject.
    """
    if subject.tilted is not None:
        return [gap_on_unseen_pairs(subject, subject.tilted)]
    own, right = PairLawSynthesizer(subject.world, subject.pairs), ExactSynthesizer(subject.world)
    random = generator(PREDICTION, subject.seed)
    gaps, ignoring, distances, dependences = [], [], [], []
    bits = math.log(2) * subject.d1.shape[1]  # nats a document in a bit a token
    for d1 in subject.d1.split(BATCH):
        d2, unrelated = own.sample(random, d1), d1.roll(1, 0)
        log_own, log_q = _laws(d2, d1, own, subject.synthesizer)
        gaps.append(kl_by_token(log_own, log_q).sum(1))
        ignoring.append(kl_by_token(log_own, own_law_alone(subject, d2)).sum(1))
        other_own, other_q = _laws(d2, unrelated, own, subject.synthesizer)
        dependences.append(torch.stack([total_variation(log_q, other_q), total_variation(log_own, other_own)], 1))
        related = right.sample(random, d1)
        log_right, log_own, log_q = _laws(related, d1, right, own, subject.synthesizer)
        distances.append(torch.stack([kl_by_token(log_right, law).sum(1) / bits for law in (log_q, log_own)], 1))
    gap, information = torch.cat(gaps), torch.cat(ignoring)
    findings = [mean_finding(PREDICTION, "gap to the law of its pairs", subject.name, gap / bits)]
    if float(information.mean()) > NOTHING:
        findings.append(ratio_finding(PREDICTION, "share of information", subject.name, gap, information))
    return [
        *findings,
        _beside(subject, "distance from exact Bayes", distances),
        _beside(subject, "dependence on d1", dependences),
    ]


def gap_on_unseen_pairs(subject: Subject, tilted: Synthesizer) -> Finding:
    """E log tilted(d2|d1) - log q(d2|d1) over the rule's own pairs that tuning did not see, bits a token; below 0 where
    the synthesizer q has learnt more of the rule than its projection ``tilted`` knows."""
    d1, d2 = subject.unseen
    nats = document_log_probs(tilted, d2, d1) - document_log_probs(subject.synthesizer, d2, d1)
    return mean_finding(PREDICTION, "gap to the law of its pairs", subject.name, nats / (math.log(2) * d2.shape[1]))


def total_variation(log_p: Tensor, log_q: Tensor) -> Tensor:
    """(B,) total variation between next-token laws (B, L, V), mean over positions: finite whatever they exclude."""
    return (log_p.exp() - log_q.exp()).abs().sum(-1).mean(1) / 2


def applies(subject: Subject) -> str | None:
    """Why the measure does not apply, in words, or None."""
    if subject.tilted is not None:
        return None if subject.unseen is not None else "none of its rule's pairs were kept from it"
    return "its pairs were related and nothing else: P1 says it" if subject.plain else sampled_pairs(subject)


def _laws(d2: Tensor, d1: Tensor, *synthesizers: Synthesizer) -> list[Tensor]:
    return [synthesizer.next_token_log_probs(d2, d1) for synthesizer in synthesizers]


def _beside(subject: Subject, quantity: str, parts: list[Tensor]) -> Finding:
    """parts: (B, 2) the subject's value and that of its pairs' own law, document by document."""
    values, control = torch.cat(parts).unbind(1)
    return paired_finding(PREDICTION, quantity, subject.name, values, control)


def _joint_frequencies(start: Tensor, tuning: tuple[Tensor, Tensor], heldout: tuple[Tensor, Tensor]) -> Tensor:
    """(U, U) joint frequencies of the latents of pairs, from likelihoods (M, U) of their two documents."""

    def evidence(matrix: Tensor, first: Tensor, second: Tensor) -> Tensor:
        return ((first @ matrix) * second).sum(1)

    best, best_loss, matrix, bad = start, -float(evidence(start, *heldout).log().mean()), start, 0
    for _ in range(MOST_STEPS):
        first, second = tuning
        weights = first / evidence(matrix, first, second)[:, None]
        matrix = matrix * (weights.T @ second) / len(first)
        loss = -float(evidence(matrix, *heldout).log().mean())
        if loss < best_loss - ENOUGH:
            best, best_loss, bad = matrix, loss, 0
        else:
            bad += 1
        if bad == PATIENCE:
            break
    return best
