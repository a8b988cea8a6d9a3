"""Example documents for people to read: what the synthesizer writes beside what exact Bayes writes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from analysis.measures import SBP
from analysis.synthesizers import ExactSynthesizer, Synthesizer
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.experiment import SeedContext
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.seeds import generator, numpy_generator
from synthetic_worlds import exact
from synthetic_worlds.world import ConceptWorld, World

RELATED_PAIRS = "related"
DRAWS = 64  # documents behind an averaged posterior


def world_examples(
    world: World, synthesizer: Synthesizer, documents: Tensor, concepts: Sequence[int], count: int, seed: int
) -> list[dict]:
    """``count`` documents spread evenly over the order of posterior entropy, from the clear to the ambiguous.

    documents: (N, L) unseen by the synthesizer; concepts: their true concepts (N,). Each example holds d1, one draw of
    exact Bayes and one of the synthesizer, a true partner of d1, and posteriors over concepts (C,): of d1, of each
    draw, and of `DRAWS` draws averaged, which is what can be compared: one draw has a posterior of its own. The
    control is another set of exact draws: as far as it is from the first, so far sampling alone takes anyone. Where
    concepts are a continuum there are neither posteriors nor true partners: the first ``count`` documents.
    """
    if not isinstance(world, ConceptWorld):
        return _without_posterior(world, synthesizer, documents[:count], seed)
    concepts = torch.as_tensor(concepts)
    log_posterior = exact.concept_log_posterior(world, documents)
    posterior = log_posterior.exp()
    entropy = -torch.where(posterior > 0, posterior * log_posterior, 0.0).sum(1)
    order = entropy.argsort(stable=True)
    chosen = order[torch.linspace(0, len(order) - 1, count + 2).round().long()[1:-1]]
    d1 = documents[chosen].repeat_interleave(DRAWS, dim=0)
    draws = {
        "exact": ExactSynthesizer(world).sample(generator("examples exact", seed), d1),
        "synthesized": synthesizer.sample(generator("examples synthesized", seed), d1),
        "control": ExactSynthesizer(world).sample(generator("examples control", seed), d1),
    }
    posteriors = {k: exact.concept_log_posterior(world, v).exp().view(count, DRAWS, -1) for k, v in draws.items()}
    examples = []
    for row, i in enumerate(chosen.tolist()):
        partners = torch.nonzero(concepts == concepts[i]).flatten()
        partners = partners[partners != i]
        examples.append(
            {
                "seed": seed,
                "d1": _symbols(documents[i]),
                "exact": _symbols(draws["exact"][row * DRAWS]),
                "synthesized": _symbols(draws["synthesized"][row * DRAWS]),
                "partner": _symbols(documents[partners[0]]) if len(partners) else None,
                "posterior": {
                    "concept": int(concepts[i]),
                    "entropy": float(entropy[i]),
                    "draws": DRAWS,
                    "prior": world.log_prior.exp().tolist(),
                    "d1": posterior[i].tolist(),
                    **{name: values[row, 0].tolist() for name, values in posteriors.items()},
                    **{f"{name}_mean": values[row].mean(0).tolist() for name, values in posteriors.items()},
                },
            }
        )
    return examples


def _without_posterior(world: World, synthesizer: Synthesizer, d1: Tensor, seed: int) -> list[dict]:
    drawn = ExactSynthesizer(world).sample(generator("examples exact", seed), d1)
    written = synthesizer.sample(generator("examples synthesized", seed), d1)
    return [
        {
            "seed": seed,
            "d1": _symbols(given),
            "exact": _symbols(exact_d2),
            "synthesized": _symbols(d2),
            "partner": None,
            "posterior": None,
        }
        for given, exact_d2, d2 in zip(d1, drawn, written, strict=True)
    ]


def text_examples(context: SeedContext, tokenizer: Tokenizer) -> list[dict]:
    """Seed documents drawn at random among those with a partner: d1, the partner, and a synthesized document.

    None where no synthesizer was tuned on related pairs.
    """
    if RELATED_PAIRS not in context.pairs or SBP not in context.synthetic:
        return []
    real, synthetic = Corpus.open(context.corpus["real"], tokenizer), Corpus.open(context.synthetic[SBP], tokenizer)
    count, seed = context.config.evaluation.examples, context.seed
    partner_of = dict(load_pairs(context.pairs[RELATED_PAIRS]).kept.tolist())
    written: dict[int, int] = {}
    for row, d1 in enumerate(synthetic.column("seed_doc").to_pylist()):
        written.setdefault(d1, row)
    candidates = sorted(partner_of.keys() & written.keys())
    picked = numpy_generator("examples", seed).permutation(len(candidates))[:count]
    return [
        {
            "seed": seed,
            "d1": real.text(d1, tokenizer),
            "exact": None,
            "synthesized": synthetic.text(written[d1], tokenizer),
            "partner": real.text(partner_of[d1], tokenizer),
            "posterior": None,
        }
        for d1 in (candidates[i] for i in sorted(picked))
    ]


def _symbols(document: Tensor) -> str:
    return " ".join(map(str, document.tolist()))
