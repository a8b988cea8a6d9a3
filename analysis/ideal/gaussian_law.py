"""The gain law of W9 in closed form: what each arm of an ideal learner costs, and which synthetic share is best.

Two limits of the same quantity, the excess held-out loss in nats a document of `analysis.ideal.factors`, derived in
docs/theory.md. D consists of N / 2 pairs of related documents; signal-to-noise ratios s_i and the correlations of two
related documents rho_i = s_i / (1 + s_i) are those of the q axes of concepts, after division by the noise.

* Many documents (`small_error_excess`): N -> infinity at a fixed width; second order of the divergence, to O(1/N).
* Many dimensions (`many_dimensions_excess`): N and width -> infinity at a fixed ratio, where a weak axis cannot be
  found at all (Baik, Ben Arous & Peche 2005; Paul 2007).
"""

import math

import torch
from torch import Tensor

from analysis.ideal.arms import PAIRS, SELF_GENERATION
from analysis.measures import EXACT, RANDOM_PAIRS, REPETITION, SBP

SMALL_ERROR_ARMS = (REPETITION, PAIRS, SBP, SELF_GENERATION, EXACT)
MANY_DIMENSIONS_ARMS = (REPETITION, PAIRS, SBP, RANDOM_PAIRS)


def small_error_excess(
    arm: str, signal: Tensor, width: int, documents: int, share: float = 1.0, samples: float = math.inf
) -> float:
    """Excess of ``arm`` in nats a document, to first order in 1 / ``documents``.

    signal: (q,) ratios s_i over 0; width: D >= q dimensions of a document; share: of the training weight on synthetic
    documents; samples: of them for each document of D. The estimated covariance errs by independent amounts in every
    symmetric element that touches an axis of the concept; each adds its variance, in units of the elements' own scale,
    over 2 N. Random pairs are not here: their bias does not vanish with N.
    """
    first, second = _elements(signal, width)
    kept = first * second
    drawn = share**2 * (1 - kept**2) / samples
    contraction = 1 - share * (1 - kept)
    related, unrelated = (1 + first) * (1 + second) / 2, (1 - first) * (1 - second) / 2
    variances = {
        REPETITION: 1 + kept,
        PAIRS: related,
        SBP: related + contraction**2 * unrelated + drawn,
        SELF_GENERATION: 1 + kept + share**2 / samples,
        EXACT: contraction**2 * (1 + kept) + drawn,
    }
    return float(variances[arm].sum()) / (2 * documents)


def best_share(signal: Tensor, width: int, samples: float = math.inf, bias: float = 0.0, documents: int = 1) -> float:
    """The synthetic share, 0 to 1, at which `small_error_excess` of sbp is least.

    bias: nats a document that training on synthetic documents alone would cost for ever, whatever N, as of a
    synthesizer that is too small; it counts with share ** 2.
    """
    first, second = _elements(signal, width)
    kept = first * second
    unrelated = (1 - first) * (1 - second) / 2
    saved = ((1 - kept) * unrelated).sum()
    cost = ((1 - kept) ** 2 * unrelated + (1 - kept**2) / samples).sum() + 2 * documents * bias
    return min(1.0, float(saved / cost))


def many_dimensions_excess(arm: str, signal: Tensor, ratio: float) -> Tensor:
    """Excess of ``arm`` in nats a document for each axis of ``signal`` (...), >= 0, at ``ratio`` = width / documents.

    Axes have different signals, so that each adds its own. Of sbp and random pairs: trained on endless synthetic
    documents alone. The estimate has one wrong direction for each true one; cos ** 2 between them is 0 below the
    threshold, signal ** 2 = ratio for documents alone.
    """
    if arm == REPETITION:
        found, cosine = spike(signal, ratio)
        return _divergence(signal, found, cosine)
    related = arm in (PAIRS, SBP)
    assert related or arm == RANDOM_PAIRS, f"{arm} is not one of {MANY_DIMENSIONS_ARMS}"
    found, cosine = spike(2 * signal if related else signal, 2 * ratio)
    shared = found / 2
    if not related:  # the difference of two unrelated documents varies along the axis too, and is written back
        shared = shared + (shared / (1 + shared)) ** 2 * signal * cosine / 2
    return _divergence(signal, shared, cosine)


def spike(signal: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """Largest eigenvalue of a sample covariance less 1, and cos ** 2 of its vector with the true axis.

    The covariance is I plus ``signal`` along one axis, ``ratio`` = dimensions / samples; both in the limit of many.
    Below signal ** 2 = ratio the eigenvalue is that of noise alone and the vector is any.
    """
    above = signal.square() > ratio
    strong = torch.where(above, signal, 1.0)
    found = torch.where(above, (1 + strong) * (1 + ratio / strong) - 1, (1 + math.sqrt(ratio)) ** 2 - 1)
    cosine = torch.where(above, (1 - ratio / strong.square()) / (1 + ratio / strong), 0.0)
    return found, cosine


def ambiguity(signal: Tensor) -> Tensor:
    """1 - I(d1;d2) / I(c;d1) for one axis, as `synthetic_worlds.exact.Information.ambiguity`; 1 at signal 0."""
    concept, pair = torch.log1p(signal), 2 * torch.log1p(signal) - torch.log1p(2 * signal)
    return torch.where(signal > 0, 1 - pair / torch.where(signal > 0, concept, 1.0), 1.0)


def _elements(signal: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Correlations (E,) of the row's and of the column's axis, for the symmetric elements that touch a concept's axis.

    Those are q (q + 1) / 2 among concepts' axes and q (D - q) with the others, along which related documents are
    uncorrelated.
    """
    correlation = signal / (1 + signal)
    q = len(signal)
    rows, columns = torch.triu_indices(q, q)
    first = torch.cat([correlation[rows], correlation.repeat_interleave(width - q)])
    second = torch.cat([correlation[columns], torch.zeros(q * (width - q), dtype=correlation.dtype)])
    return first, second


def _divergence(signal: Tensor, found: Tensor, cosine: Tensor) -> Tensor:
    """KL in nats from N(0, I + signal u u') to N(0, I + found v v') with cosine = (u . v) ** 2."""
    return 0.5 * (torch.log1p(found) - torch.log1p(signal) + signal - found / (1 + found) * (1 + signal * cosine))
