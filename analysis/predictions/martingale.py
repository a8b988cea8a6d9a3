"""P4: beliefs are a martingale: reading what the synthesizer writes changes p(c|d1) by nothing on average.

E over d2' ~ q(.|d1) of p(c|d1, d2') is p(c|d1) for exact Bayes. A synthesizer that writes the most probable concept too
often makes its reader ever surer; one that forgets d1 makes it unsure. Measured in three directions: along the
posterior itself, at its most probable concept, and in entropy, where exact Bayes loses I(c;d2|d1).
Cost: N samples of the synthesizer, two updates of exact inference.
"""

import torch

from analysis.predictions.applicability import informative_concepts
from analysis.predictions.finding import Finding, mean_finding, paired_finding
from analysis.predictions.subject import Subject
from synthetic_worlds import exact

applies = informative_concepts


def measure(subject: Subject) -> list[Finding]:
    """Mean changes of belief; the entropy beside that after exact Bayes' own d2 for the same d1."""
    before = subject.posterior
    after = exact.concept_log_posterior(subject.world, subject.d1, subject.synthesized).exp()
    control = exact.concept_log_posterior(subject.world, subject.d1, subject.control).exp()
    change = after - before
    winner = before.argmax(1, keepdim=True)
    entropy, exact_entropy = (torch.special.entr(belief).sum(1) for belief in (after, control))
    return [
        mean_finding("P4", "posterior direction", subject.name, (change * before).sum(1)),
        mean_finding("P4", "most probable concept", subject.name, change.gather(1, winner)[:, 0]),
        paired_finding("P4", "entropy after d2", subject.name, entropy, exact_entropy),
    ]
