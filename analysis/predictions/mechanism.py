"""P10: the posterior of the concept is in the network, and the network writes from it.

Three things, each with its control. It can be read off the separator linearly, better than off a random network or word
counts, while the concept itself can be read only as far as d1 tells. The separator's state, put there after another
document, makes the network write as after that one. The posterior's directions taken out from the separator on, the
gain from d1 goes; as many random directions taken out leave it.
"""

import copy

import torch
from torch import Tensor

from analysis.bayes_gap import kl_by_token
from analysis.predictions.activations import ablated_log_probs, patched_log_probs, separator_states, writing_states
from analysis.predictions.applicability import informative_concepts
from analysis.predictions.finding import Finding, finding, ratio_finding
from analysis.predictions.probes import Explained, one_hot_ceiling, probe, random_subspace, subspace, word_counts
from analysis.predictions.subject import Subject
from analysis.synthesizers import TransformerSynthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact

PREDICTION = "P10"
BATCH = 256
SUBSPACE_DOCUMENTS = 512


def applies(subject: Subject) -> str | None:
    """Why the measure does not apply, in words, or None."""
    if subject.model is None:
        return "it has no network to look into"
    reason = informative_concepts(subject)
    if reason is None and subject.model.model.config.width < subject.world.C:
        return "its network is narrower than the posterior"
    return reason


def measure(subject: Subject) -> list[Finding]:
    """Probes, patch and ablation; every other document chooses (layers, subspaces), the rest are measured.

    Cost: about eight passes of the network and ten ridge regressions a layer.
    """
    return _readable(subject) + _used(subject)


def probe_table(subject: Subject) -> list[dict[str, float | int | str]]:
    """Share of variance explained, out of fold, for each target, source of features and layer, over all documents.

    Targets: posterior, log posterior (vacuous in worlds of counts, where random features give it), and a concept drawn
    from the posterior. Sources: network and random network at each layer, word counts (layer -1).
    """
    rows = []
    sources = {"network": subject.model, "random network": _untrained(subject)}
    features = {name: list(separator_states(source, subject.d1)) for name, source in sources.items()}
    features["word counts"] = [word_counts(subject.d1, subject.world.V)]
    for target, values in _targets(subject).items():
        for source, layers in features.items():
            for layer, states in enumerate(layers):
                found = probe(states, values)
                place = -1 if source == "word counts" else layer
                rows.append({"target": target, "source": source, "layer": place, "r2": found.r2, "se": found.se})
    return rows


def _targets(subject: Subject) -> dict[str, Tensor]:
    log_posterior = exact.concept_log_posterior(subject.world, subject.d1)
    drawn = torch.multinomial(subject.posterior, 1, generator=generator(PREDICTION, "concept", subject.seed))[:, 0]
    return {
        "posterior": subject.posterior,
        "log posterior": log_posterior.clamp_min(-30),
        "concept": torch.nn.functional.one_hot(drawn, subject.world.C).double(),
    }


def _untrained(subject: Subject) -> TransformerSynthesizer:
    """A network of the same shape with weights as training found them."""
    model = copy.deepcopy(subject.model.model).init(generator(PREDICTION, "random network", subject.seed))
    return TransformerSynthesizer(model, subject.model.tokenizer, batch=subject.model.batch)


def _readable(subject: Subject) -> list[Finding]:
    targets = _targets(subject)
    posterior, concept = targets["posterior"], targets["concept"]
    states = separator_states(subject.model, subject.d1)
    read = _best_layer(states, posterior)
    random = _best_layer(separator_states(_untrained(subject), subject.d1), posterior)
    counted = _best_layer(word_counts(subject.d1, subject.world.V)[None], posterior)
    one_hot = _best_layer(states, concept)
    n, ceiling = len(read.residual), one_hot_ceiling(subject.posterior, subject.world.prior)
    return [
        finding(PREDICTION, "posterior explained", subject.name, read.r2, read.se, n, 1.0),
        finding(PREDICTION, "concept explained", subject.name, one_hot.r2, one_hot.se, n, ceiling),
        *(
            ratio_finding(PREDICTION, f"unexplained, of {whose}", subject.name, read.residual, base.residual)
            for whose, base in (("a random network's", random), ("word counts'", counted))
        ),
    ]


def _best_layer(states: Tensor, target: Tensor) -> Explained:
    """The probe of the layer that explains most of the even documents, on the odd ones. states: (layers, N, D)."""
    best = max(states, key=lambda features: probe(features[::2], target[::2]).r2)
    return probe(best[1::2], target[1::2])


def _used(subject: Subject) -> list[Finding]:
    """d2 is drawn from the exact predictive given the document that the network should write after."""
    model = subject.model
    own, other, means = _subspaces(subject)
    moved, lost, lost_random = [], [], []
    d1, d2 = subject.d1[1::2], subject.related[1::2]
    for this, target, elsewhere in zip(d1.split(BATCH), d2.split(BATCH), d1.roll(1, 0).split(BATCH), strict=True):
        log_p = exact.next_token_log_probs(subject.world, target, this)

        def distance(law: Tensor, log_p: Tensor = log_p) -> Tensor:
            return kl_by_token(log_p, law).sum(1)

        right = distance(model.next_token_log_probs(target, this))
        misled = distance(model.next_token_log_probs(target, elsewhere))
        patched = distance(patched_log_probs(model, target, elsewhere, this))
        alone = distance(subject.alone.next_token_log_probs(target))
        moved.append(torch.stack([misled - patched, misled - right], 1))
        for parts, basis in ((lost, own), (lost_random, other)):
            ablated = distance(ablated_log_probs(model, target, this, basis, means))
            parts.append(torch.stack([ablated - right, alone - right], 1))
    quantities = (
        "law moved by the separator",
        "gain lost without the posterior",
        "gain lost without random directions",
    )
    return [
        ratio_finding(PREDICTION, quantity, subject.name, *torch.cat(parts).unbind(1), null)
        for quantity, parts, null in zip(quantities, (moved, lost, lost_random), (1.0, 1.0, 0.0), strict=True)
    ]


def _subspaces(subject: Subject) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """For each layer the C - 1 directions (D, C - 1) of p(c | d1, x_<t), at all positions together, as many at random,
    and the mean states (layers, L, D); from even documents."""
    d1, d2 = subject.d1[::2][:SUBSPACE_DOCUMENTS], subject.related[::2][:SUBSPACE_DOCUMENTS]
    states, rank = writing_states(subject.model, d2, d1), subject.world.C - 1
    beliefs = subject.world.beliefs_before_tokens(exact.concept_log_posterior(subject.world, d1), d2)
    # Within each position, so that what differs between positions is left alone.
    target = beliefs.transpose(1, 2).exp()
    target = (target - target.mean(0)).flatten(0, 1)
    means = states.mean(1)
    own = [subspace((layer - mean).flatten(0, 1), target, rank) for layer, mean in zip(states, means, strict=True)]
    random = generator(PREDICTION, "directions", subject.seed)
    return own, [random_subspace(*basis.shape, random) for basis in own], means
