"""P6: the private style of d1 does not pass into d2': it is drawn afresh. Copying it is paraphrase, not abstraction.

How much d2' agrees in style with its own d1 beyond how much it agrees with any other is the covariance of their style
posteriors, summed over styles z in units of the prior rho:
    agreement = sum_z cov(p(z | d1), p(z | d2')) / rho_z.
The leak is its share of the agreement that exact draws of the same concept and style have. A synthesizer that ignores
d1 has 0 however badly its law of styles fits, since every d1 is taken for every other; one that learnt from pairs of
which a share rho had a common style has rho: the positive control. Exact Bayes has 0 but for what a style tells of the
concept, which is shared: it is measured beside.
Cost: N samples of the synthesizer, a dozen style posteriors.
"""

from dataclasses import replace

import torch
from torch import Tensor

from analysis.predictions.applicability import sampled_pairs
from analysis.predictions.finding import Finding, ratio_finding
from analysis.predictions.subject import Subject
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.style import ConceptStyle

CONTROLS = 8  # exact draws a document, so that their noise is small beside that of one synthetic document
OTHER_PAIRS = "its pairs were noisy, copied or of another prior, so that the style is not all that they share"


def applies(subject: Subject) -> str | None:
    """Needs a world of concept and style; pairs that share their style are the positive control."""
    if not isinstance(subject.world, ConceptStyle):
        return f"documents of world {subject.world.name} have no style"
    if len(subject.world.style_prior) < 2:
        return f"world {subject.world.name} has one style only"
    pairs = subject.pairs
    if pairs.wrong or pairs.near_duplicate or pairs.prior is not None:
        return OTHER_PAIRS
    return sampled_pairs(subject)


def measure(subject: Subject) -> list[Finding]:
    """The leak; its null is the share of the pairs that it should have learnt whose style was common, and of the others
    what exact Bayes has."""
    world, d1, stream = subject.world, subject.d1, generator("P6", subject.seed)
    same = style_agreement(world, d1, exact.sample_related(world.concept_and_style_world(), stream, d1))
    if not float(same.std()) > 1e-9:
        return []  # styles that change nothing
    draws = (exact.sample_related(world, stream, d1) for _ in range(CONTROLS))
    fresh = torch.stack([style_agreement(world, d1, d2) for d2 in draws]).mean(0)
    written, common = style_agreement(world, d1, subject.synthesized), subject.pairs.shared_style
    found = ratio_finding("P6", "leak", subject.name, written - (1 - common) * fresh, same, common)
    by_concept = (1 - common) * float(fresh.mean() / same.mean())
    return [replace(found, estimate=found.estimate + by_concept, null=common + by_concept)]


def style_agreement(world: ConceptStyle, d1: Tensor, d2: Tensor) -> Tensor:
    """(N,) what each pair adds to sum_z cov(p(z|d1), p(z|d2)) / rho_z, the mean over pairs."""
    mine, theirs = (world.style_log_posterior(documents).exp() for documents in (d1, d2))
    return ((mine - mine.mean(0)) * (theirs - theirs.mean(0)) / world.style_prior).sum(1)
