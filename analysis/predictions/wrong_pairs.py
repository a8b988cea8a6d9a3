"""P7: wrong pairs make an adaptive mixture of whole documents, not a fixed mixture of tokens.

With a share e of wrong pairs exact Bayes says w_t p*(. | d1, x_<t) + (1 - w_t) p(. | x_<t), where the weight follows
the evidence, logit w_t = log((1 - e) / e) + log BF_t. A synthesizer that learnt the noise as a fixed share of every
token keeps w_t = 1 - e.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from analysis.bayes_gap import kl_by_token
from analysis.pair_law_synthesizer import sample_related_partner
from analysis.predictions.applicability import informative, sampled_pairs
from analysis.predictions.finding import Finding, finding
from analysis.predictions.mixture_weight import crossing_against, weight_parts
from analysis.predictions.one_parameter import cross_entropy, fit_along
from analysis.predictions.subject import Subject
from sbp_bayes.seeds import generator
from synthetic_worlds.pair_law import pair_next_token_log_probs

PREDICTION = "P7"
NOISE = 0.3  # share of wrong pairs that a synthesizer of clean pairs is examined on
BATCH = 256


@dataclass(frozen=True)
class NoiseLaws:
    """What is said of each next token of the same documents, each (B, L, V), in nats.

    clean: of d2 when the pair is known to be right; alone: when it is known to be wrong; evidence: (B, L) log Bayes
    factor of right against wrong before each token; subject: the synthesizer's.
    """

    clean: Tensor
    alone: Tensor
    evidence: Tensor
    subject: Tensor

    def mixture(self, wrong: float, power: float = 1.0) -> Tensor:
        """The law of pairs of which a share ``wrong`` is wrong, with the evidence raised to ``power``.

        Power 1 is exact Bayes, power 0 the fixed mixture of tokens.
        """
        share = torch.tensor(wrong, dtype=torch.float64)
        logit = torch.log1p(-share) - share.log() + power * self.evidence
        right, false = torch.nn.functional.logsigmoid(logit), torch.nn.functional.logsigmoid(-logit)
        return torch.logaddexp(right[..., None] + self.clean, false[..., None] + self.alone)


def noise_laws(subject: Subject, d1: Tensor, d2: Tensor) -> NoiseLaws:
    """The laws of ``d2`` (B, L) given ``d1`` (B, L), by the subject and by its world.

    Cost: two exact predictives and one of the subject.
    """
    clean, alone = (
        pair_next_token_log_probs(subject.world, d2, d1, replace(subject.pairs, wrong=wrong)) for wrong in (0.0, 1.0)
    )
    steps = [law.gather(2, d2[..., None])[..., 0] for law in (clean, alone)]
    evidence = (steps[0] - steps[1]).cumsum(1)
    before = torch.cat([torch.zeros_like(evidence[:, :1]), evidence[:, :-1]], 1)
    # Finite, so that power 0 makes it nothing: beyond these bounds the weight is 0 or 1 in any case.
    before = before.clamp(-1e4, 1e4)
    return NoiseLaws(clean, alone, before, subject.synthesizer.next_token_log_probs(d2, d1))


def measure(subject: Subject) -> list[Finding]:
    """The share of wrong pairs that the synthesizer acts on, whether its weight follows the evidence, and where on a
    document that contradicts d1 it changes its mind.

    The laws of all documents are kept in memory: N * L * V numbers four times.
    """
    laws = list(_on_noisy_pairs(subject))
    wrong = subject.pairs.wrong

    def losses(share: float, power: float) -> Tensor:
        return torch.cat([cross_entropy(part.subject, part.mixture(share, power)) for part in laws])

    share = fit_along(lambda value: losses(value, 1.0), 0.0, 1.0)
    findings = [finding(PREDICTION, "share of wrong pairs", subject.name, share.value, share.se, share.n, wrong)]
    if wrong == 0:
        return findings
    power = fit_along(lambda value: losses(wrong, value), -1.0, 3.0)
    findings.append(finding(PREDICTION, "power of the evidence", subject.name, power.value, power.se, power.n, 1.0))
    return findings + _change_of_mind(subject)


def noise_gaps(subject: Subject, wrong: float = NOISE) -> dict[str, tuple[float, float]]:
    """Mean over noisy pairs of sum_t KL(law || q) in nats a document, and its standard error, for four laws.

    adaptive: exact Bayes of a share ``wrong`` of wrong pairs; static: the fixed mixture; clean: as if there were none;
    prior: d1 ignored. The nearest law is the one that the synthesizer learnt.
    """
    rows: dict[str, list[Tensor]] = {name: [] for name in ("adaptive", "static", "clean", "prior")}
    for laws in _on_noisy_pairs(subject, wrong):
        targets = (laws.mixture(wrong), laws.mixture(wrong, power=0.0), laws.clean, laws.alone)
        for parts, target in zip(rows.values(), targets, strict=True):
            parts.append(kl_by_token(target, laws.subject).sum(1))
    gaps = {name: torch.cat(parts) for name, parts in rows.items()}
    return {name: (float(gap.mean()), float(gap.std()) / len(gap) ** 0.5) for name, gap in gaps.items()}


def applies(subject: Subject) -> str | None:
    """Why the measure does not apply, in words, or None."""
    if subject.pairs.near_duplicate or subject.pairs.shared_style:
        return "its pairs were copied or shared their style besides, so that there are more than two laws to weigh"
    if subject.pairs.wrong == 1:
        return "all its pairs were wrong"
    return sampled_pairs(subject) or informative(subject)


def _on_noisy_pairs(subject: Subject, wrong: float | None = None) -> Iterator[NoiseLaws]:
    """Laws of partners drawn with the subject's own share of wrong pairs, `NOISE` if that is none."""
    share = wrong or subject.pairs.wrong or NOISE
    random = generator(PREDICTION, "noisy pairs", subject.seed)
    for d1 in subject.d1.split(BATCH):
        related = sample_related_partner(subject.world, subject.pairs, d1, random)
        others = subject.world.sample_given_concepts(
            subject.pairs.sample_concepts(subject.world, len(d1), random), random
        )
        false = torch.rand(len(d1), generator=random, dtype=torch.float64) < share
        yield noise_laws(subject, d1, torch.where(false[:, None], others.tokens, related))


def _change_of_mind(subject: Subject) -> list[Finding]:
    """Where in unrelated documents the mean weight of d1 falls below a half; nothing where that of exact Bayes never
    does."""
    random = generator(PREDICTION, "unrelated documents", subject.seed)
    parts, exact_parts = [], []
    for d1 in subject.d1.split(BATCH):
        laws = noise_laws(subject, d1, subject.world.sample(len(d1), random).tokens)
        parts.append(weight_parts(laws.subject, laws.clean, laws.alone))
        exact_parts.append(weight_parts(laws.mixture(subject.pairs.wrong), laws.clean, laws.alone))
    ours, exact = (tuple(map(torch.cat, zip(*some, strict=True))) for some in (parts, exact_parts))
    found, null, se = crossing_against(ours, exact)
    if null == exact[0].shape[1]:
        return []
    return [finding(PREDICTION, "change of mind", subject.name, found, se, len(subject.d1), null)]
