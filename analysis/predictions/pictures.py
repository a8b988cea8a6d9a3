"""The few numbers behind the pictures of a synthesizer: pictures.json of a seed, name -> plain lists.

Each is a function of a `Subject` beside the measure that it illustrates, on few documents; None where that measure does
not apply. Decisions rest on findings, never on these.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from analysis.predictions import calibration, mechanism, several_documents, wrong_pairs
from analysis.predictions.activations import separator_states
from analysis.predictions.applicability import informative_concepts, plain_pairs
from analysis.predictions.mixture_weight import weight_parts
from analysis.predictions.probes import probe, ridge
from analysis.predictions.subject import Subject
from analysis.predictions.temperature import prior_divergence
from analysis.synthesizers import (
    ExactSynthesizer,
    Synthesizer,
    TemperedSynthesizer,
    TransformerSynthesizer,
    document_log_probs,
)
from sbp_bayes.seeds import generator
from synthetic_worlds import exact

SHOWN = 400  # documents of a scatter
AVERAGED = 1024  # documents behind a curve
TEMPERATURES = (0.7, 1.0, 1.3)
TEMPERED = 512  # documents sampled at each: token by token, each a pass of exact inference
LEVELS = tuple(i / 20 for i in range(1, 20))
ROUNDS = 6
IN_FACE = 0.75  # posterior mass on the three concepts of a face for a document to be drawn on it

Picture = dict[str, list | float | int]


def pictures_of(subject: Subject) -> dict[str, Picture]:
    """All pictures that the subject has. Cost: about that of one more prediction."""
    found = {name: picture(subject) for name, picture in PICTURES.items()}
    return {name: picture for name, picture in found.items() if picture is not None}


def exchangeability(subject: Subject) -> Picture | None:
    """P3: log-probability in nats of each pair in its order and in the other."""
    if plain_pairs(subject):
        return None
    d1, d2 = subject.d1[:SHOWN], subject.related[:SHOWN]

    def joint(first: Tensor, second: Tensor) -> list[float]:
        log_probs = document_log_probs(subject.alone, first) + document_log_probs(subject.synthesizer, second, first)
        return _rounded(log_probs)

    return {"this_order": joint(d1, d2), "other_order": joint(d2, d1)}


def adaptive_weight(subject: Subject) -> Picture | None:
    """P7: weight of d1 along related and along unrelated documents: the synthesizer's, exact Bayes' and a fixed one."""
    wrong = subject.pairs.wrong
    if not wrong or wrong_pairs.applies(subject):
        return None
    d1 = subject.d1[:AVERAGED]
    unrelated = subject.world.sample(len(d1), generator("picture", subject.seed)).tokens
    drawn: Picture = {"wrong": wrong, "n": len(d1)}
    for name, documents in (("related", subject.related[:AVERAGED]), ("unrelated", unrelated)):
        parts = []
        for first, second in zip(d1.split(wrong_pairs.BATCH), documents.split(wrong_pairs.BATCH), strict=True):
            laws = wrong_pairs.noise_laws(subject, first, second)
            (ours, below), (exactly, _) = (
                weight_parts(law, laws.clean, laws.alone) for law in (laws.subject, laws.mixture(wrong))
            )
            parts.append(torch.stack([ours, exactly, below]).sum(1))
        *above, below = torch.stack(parts).sum(0)
        # Where both laws are one the weight means nothing: 0.
        ours, exactly = (_rounded((each / below).nan_to_num(0.0)) for each in above)
        drawn |= {name: ours, f"{name}_exact": exactly}
    return drawn


def temperature(subject: Subject) -> Picture | None:
    """P15: KL in nats of the written documents' mean posterior from the prior, at some temperatures."""
    if informative_concepts(subject):
        return None
    d1 = subject.d1[:TEMPERED]

    def bent(synthesizer: Synthesizer, at: float) -> tuple[float, float]:
        random = generator("picture", at.hex(), subject.seed)
        if isinstance(synthesizer, TransformerSynthesizer):  # has a sampler of its own, many times as fast
            written = synthesizer.sample(random, d1, temperature=at)
        else:
            written = (synthesizer if at == 1 else TemperedSynthesizer(synthesizer, at)).sample(random, d1)
        return prior_divergence(exact.concept_log_posterior(subject.world, written).exp(), subject.world.prior)

    drawn: Picture = {"temperatures": list(TEMPERATURES), "n": len(d1)}
    for name, synthesizer in (("synthesizer", subject.synthesizer), ("exact", ExactSynthesizer(subject.world))):
        estimates, errors = zip(*(bent(synthesizer, at) for at in TEMPERATURES), strict=True)
        drawn |= {name: list(estimates), f"{name}_se": list(errors)}
    return drawn


def drift(subject: Subject) -> Picture | None:
    """P14: share of the seed documents' slowest contrast between concepts that is left after each round of writing."""
    if several_documents.applies(subject):
        return None
    exactly = several_documents.exact_drift(subject.world)
    random = generator("picture", "drift", subject.seed)
    document = subject.d1[:AVERAGED]
    start = subject.posterior[:AVERAGED] @ exactly.contrast
    left = [1.0]
    for _ in range(ROUNDS):
        document = subject.synthesizer.sample(random, document)
        held = exact.concept_log_posterior(subject.world, document).exp() @ exactly.contrast
        left.append(float((start * held).sum() / start.square().sum()))
    return {"left": left, "exact": [exactly.kept**i for i in range(ROUNDS + 1)], "n": len(start)}


def calibrated(subject: Subject) -> Picture | None:
    """P16: share of ranks below each level, by the concept's likelihood, and of the most probable concepts' coverage;
    both the synthesizer's and those of exact draws on the same documents."""
    if informative_concepts(subject):
        return None
    before = subject.posterior
    by = {
        "likelihood": calibration.rank_intervals(subject.world.log_likelihood(subject.d1), before),
        "coverage": calibration.rank_intervals(-before, before),
    }
    drawn: Picture = {"levels": list(LEVELS), "n": len(before)}
    for whose, written in (("", subject.synthesized), ("_exact", subject.control)):
        after = exact.concept_log_posterior(subject.world, subject.d1, written).exp()
        for name, ranks in by.items():
            below = torch.stack([(after * calibration.share_below(*ranks, level)).sum(1) for level in LEVELS], 1)
            drawn[f"{name}{whose}"] = _rounded(below.mean(0))
            drawn[f"{name}{whose}_se"] = _rounded(below.std(0) / len(below) ** 0.5)
    return drawn


def belief(subject: Subject) -> Picture | None:
    """P10: posteriors of documents on one face of the simplex, exact and as a linear probe reads them off the network.

    The face is that of the three concepts most confused with one another; points are barycentric coordinates of the
    documents that have `IN_FACE` of their mass there. The probe was fitted to other documents, at its best layer.
    """
    if mechanism.applies(subject) or subject.world.C < 3:
        return None
    states, posterior = separator_states(subject.model, subject.d1), subject.posterior
    layer = max(range(len(states)), key=lambda i: probe(states[i][::2], posterior[::2]).r2)
    slope, mean, centre = ridge(states[layer][::2], posterior[::2])
    read = (states[layer][1::2].double() - centre) @ slope + mean
    face = _most_confused(posterior)
    mass = posterior[1::2][:, face].sum(1)
    rows = (mass >= IN_FACE).nonzero()[:SHOWN, 0]
    coordinates = [values[rows][:, face] / mass[rows, None] for values in (posterior[1::2], read)]
    return {
        "concepts": face,
        "layer": layer,
        "exact": [_rounded(row) for row in coordinates[0]],
        "probed": [_rounded(row) for row in coordinates[1]],
        "r2": probe(states[layer][1::2], posterior[1::2]).r2,
        "n": len(mass),
    }


PICTURES: dict[str, Callable[[Subject], Picture | None]] = {
    "exchangeability": exchangeability,
    "adaptive-weight": adaptive_weight,
    "temperature": temperature,
    "drift": drift,
    "calibration": calibrated,
    "belief": belief,
}


def _most_confused(posterior: Tensor) -> list[int]:
    """The three concepts whose probabilities occur together most: largest sum of E p_a p_b over their pairs."""
    together = posterior.T @ posterior
    together.fill_diagonal_(0)
    # Only concepts among the most confused pairs can be in the best face; a few of them are enough to look at.
    likely = together.sum(0).topk(min(16, len(together))).indices.tolist()
    return list(
        max(
            itertools.combinations(sorted(likely), 3),
            key=lambda f: float(together[f[0], f[1]] + together[f[0], f[2]] + together[f[1], f[2]]),
        )
    )


def _rounded(values: Tensor) -> list[float]:
    """Five significant digits or so: pictures need no more, and files stay small."""
    return [float(f"{value:.5g}") for value in values.tolist()]
