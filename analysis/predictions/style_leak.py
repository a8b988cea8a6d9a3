"""P6: the private style of d1 does not pass into d2': it is drawn afresh. Copying it is paraphrase, not abstraction.

Let r = p(d2 | d1, same concept, same style) / p(d2 | d1, same concept). h = (r - 1) / (r + 1) lies between -1 and 1 and
is high where d2 has the style of d1. For pairs of which a share rho has a common style its mean lies that share of the
way from exact Bayes' to that of exact draws of the same style, so
    leak = (E_q h - E_exact h) / (E_same style h - E_exact h)
is 0 for exact Bayes, and rho for one that learnt from pairs sharing their style at rate rho: the positive control.
Cost: N samples of the synthesizer, ten passes of exact inference with C * Z concepts.
"""

import torch
from torch import Tensor

from analysis.predictions.applicability import sampled_pairs
from analysis.predictions.finding import Finding, ratio_finding
from analysis.predictions.subject import Subject
from sbp_bayes.seeds import generator
from synthetic_worlds import exact

CONTROLS = 8  # exact draws a document, so that their noise is small beside that of one synthetic document
OTHER_PAIRS = "its pairs were noisy, copied or of another prior, so that the style is not all that they share"


def applies(subject: Subject) -> str | None:
    """Needs a world of concept and style; pairs that share their style are the positive control."""
    if not hasattr(subject.world, "concept_and_style_world"):
        return f"documents of world {subject.world.name} have no style"
    if len(subject.world.style_prior) < 2:
        return f"world {subject.world.name} has one style only"
    pairs = subject.pairs
    if pairs.wrong or pairs.near_duplicate or pairs.prior is not None:
        return OTHER_PAIRS
    return sampled_pairs(subject)


def measure(subject: Subject) -> list[Finding]:
    """The leak; its null is the share of the pairs that it should have learnt whose style was common."""
    with_style = subject.world.concept_and_style_world()
    stream = generator("P6", subject.seed)
    same = exact.sample_related(with_style, stream, subject.d1)
    draws = (exact.sample_related(subject.world, stream, subject.d1) for _ in range(CONTROLS))
    base = torch.stack([style_evidence(subject, d2) for d2 in draws]).mean(0)
    above = style_evidence(subject, subject.synthesized) - base
    below = style_evidence(subject, same) - base
    if not float(below.std()) > 1e-9:
        return []  # styles that change nothing
    return [ratio_finding("P6", "leak", subject.name, above, below, subject.pairs.shared_style)]


def style_evidence(subject: Subject, d2: Tensor) -> Tensor:
    """(N,) h of each (d1, d2): 1 where they surely have one style, -1 where surely not, 0 where nothing tells."""
    world = subject.world
    same = exact.log_predictive(world.concept_and_style_world(), d2, subject.d1)
    return torch.tanh((same - exact.log_predictive(world, d2, subject.d1)) / 2)
