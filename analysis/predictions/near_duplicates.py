"""P8: near-duplicates among the pairs teach a hypothesis "this is a copy", which matching tokens confirm.

With a share delta of copies exact Bayes says delta * copy + (1 - delta) * p*: the odds of the copy are
delta / (1 - delta) before the first token and grow by 1 / p*(x_t) with every token that matches, so that it takes over
after about log((1 - delta) / delta) / H of them, and at temperature 1 a share delta of documents is copied.
"""

from dataclasses import replace

import torch
from torch import Tensor

from analysis.predictions.applicability import sampled_pairs
from analysis.predictions.finding import Finding, finding, paired_finding
from analysis.predictions.mixture_weight import crossing_against, weight_against, weight_parts
from analysis.predictions.subject import Subject
from synthetic_worlds.pair_law import pair_next_token_log_probs

PREDICTION = "P8"
COLD = 0.7
MATCHED = 2  # tokens read before the weight of the copy is looked at
BATCH = 256


def measure(subject: Subject) -> list[Finding]:
    """Share of documents copied, as the sampler would at temperature 1 and at `COLD`; the copy's weight once two
    tokens have matched; and where along a matching document it takes over.

    No sampling: q(d1 | d1) is the probability that a synthetic document is a copy, token by token at any temperature.
    Of a synthesizer of clean pairs the null is that there are none but by chance: a control. Cost: one exact predictive
    of the mixture and one of each of its two parts, one of the subject.
    """
    copied: dict[float, list[tuple[Tensor, Tensor]]] = {1.0: [], COLD: []}
    parts, exact_parts = [], []
    for d1 in subject.d1.split(BATCH):
        own, copy, fresh = (
            pair_next_token_log_probs(subject.world, d1, d1, replace(subject.pairs, near_duplicate=rate))
            for rate in (subject.pairs.near_duplicate, 1.0, 0.0)
        )
        law = subject.synthesizer.next_token_log_probs(d1, d1)
        for temperature, found in copied.items():
            found.append((copy_probability(law, d1, temperature), copy_probability(own, d1, temperature)))
        parts.append(weight_parts(law, copy, fresh))
        exact_parts.append(weight_parts(own, copy, fresh))
    n = len(subject.d1)
    findings = []
    for temperature, found in copied.items():
        rate, exact_rate = map(torch.cat, zip(*found, strict=True))
        quantity = "copies" if temperature == 1 else f"copies at temperature {temperature:g}"
        findings.append(paired_finding(PREDICTION, quantity, subject.name, rate, exact_rate))
    ours, exact = (tuple(map(torch.cat, zip(*some, strict=True))) for some in (parts, exact_parts))
    if subject.world.L > MATCHED:
        weight, null, se = weight_against(ours, exact, MATCHED)
        findings.append(finding(PREDICTION, "weight of the copy", subject.name, weight, se, n, null))
    position, null, se = crossing_against(ours, exact)
    if null < subject.world.L:
        findings.append(finding(PREDICTION, "take-over", subject.name, position, se, n, null))
    clean = not subject.pairs.near_duplicate
    return [replace(found, control=clean) for found in findings]


def copy_probability(log_q: Tensor, document: Tensor, temperature: float = 1.0) -> Tensor:
    """(B,) probability that a sampler at ``temperature`` writes ``document`` (B, L), from the next-token laws along it.

    log_q: (B, L, V). Each law is raised to 1 / temperature and renormalised, over the world's tokens; at temperature 1
    it is left as it is, with what it loses to tokens of no world.
    """
    steps = log_q if temperature == 1 else torch.log_softmax(log_q / temperature, -1)
    chosen = steps.gather(2, document[..., None])[..., 0]
    # Past a token that q never writes there is no law.
    return torch.where(chosen.isnan(), -torch.inf, chosen).sum(1).exp()


def applies(subject: Subject) -> str | None:
    """Why the measure does not apply, in words, or None."""
    return "with one word every document is a copy" if subject.world.V < 2 else sampled_pairs(subject)
