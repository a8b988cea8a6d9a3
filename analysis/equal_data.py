"""Implicit and explicit Bayes at equal data: Bayes gaps of a transformer and of learnt classes on the same pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from analysis import measures
from analysis.bayes_gap import BayesGap, bayes_gaps
from analysis.explicit_synthesizer import fit_explicit, settings_for
from analysis.synthesizers import Synthesizer, TransformerSynthesizer
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.packing import Mixture, Packed, PairSequences
from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.model.sizes import model_config, size_named
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.split import split_pairs
from sbp_bayes.results import Result
from sbp_bayes.seeds import generator, seed_for
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.trainer import TrainingConfig, train
from synthetic_worlds import exact
from synthetic_worlds.pair_sampling import PairSampling, sample_pairs
from synthetic_worlds.world import ConceptWorld


@dataclass(frozen=True, kw_only=True)
class EqualData:
    """What the comparison spends.

    size: of the transformer, trained from scratch on the pairs, loss on d2 alone; rows: pairs a step; passes: over the
    pairs, at most most_steps; evaluations: on held-out pairs; patience: so many without a better one and it stops.
    explicit_steps: the most that a fit of the explicit synthesizer takes.
    documents: held-out d1 that the Bayes gap averages over.
    """

    size: str = "0.1M"
    rows: int = 32
    passes: float = 10.0
    most_steps: int = 4000
    evaluations: int = 25
    patience: int = 4
    weight_decay: float = 0.3
    explicit_steps: int = 4000
    documents: int = 1000


def related_pairs(world: ConceptWorld, n: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Documents (2n, L) and related pairs (n, 2) of them: each document is in one pair alone."""
    drawn = sample_pairs(world, n, generator("pairs at equal data", seed), PairSampling())
    return torch.cat([drawn.d1, drawn.d2]), np.arange(2 * n).reshape(2, n).T


def gaps_at_equal_data(
    world: ConceptWorld,
    label: str,
    seed: int,
    most: int,
    numbers: list[int],
    settings: EqualData,
    folder: Path,
) -> Iterator[list[Result]]:
    """For each number of pairs the Bayes gap (nats/document, and as a share of I(d1;d2)) of every synthesizer.

    Each set of pairs is the first so many of the same ``most``; every synthesizer of a set has the same pairs held out
    to stop early, and every gap is over the same held-out documents. ``folder`` keeps the training runs.
    """
    documents, pairs = related_pairs(world, most, seed)
    d1 = world.sample(settings.documents, generator("documents at equal data", seed)).tokens
    d2 = exact.sample_related(world, generator("gap at equal data", seed), d1)
    for n in numbers:
        synthesizers: list[Synthesizer] = [
            fit_implicit(world, documents, pairs[:n], settings, seed, folder / str(n)),
            *(_explicit(world, documents, pairs[:n], settings, seed, shared) for shared in (False, True)),
        ]
        gaps = bayes_gaps(synthesizers, world, d1, d2)
        yield [
            *(row for gap in gaps for row in _results(gap, label, seed, float(n))),
            _information(gaps[0], label, seed, float(n)),
        ]


def fit_implicit(
    world: ConceptWorld, documents: Tensor, pairs: np.ndarray, settings: EqualData, seed: int, folder: Path
) -> TransformerSynthesizer:
    """The best checkpoint of a transformer that the project's trainer trained on ``pairs`` (M, 2) of ``documents``."""
    tokenizer = SymbolTokenizer(world.V)
    used = np.unique(pairs)
    table = pa.table(
        {
            "doc_id": pa.array([str(i) for i in used]),
            "tokens": pa.array(list(documents[used].numpy().astype(np.int32)), pa.list_(pa.int32())),
        }
    )
    corpus = write_corpus(folder / "corpus", [table], tokenizer, None)
    split = split_pairs(pairs, seed)
    tuning, heldout = (PairSequences(corpus, np.searchsorted(used, part), tokenizer) for part in split)
    context, size = int(tuning.lengths.max()), size_named(settings.size)
    steps = min(max(1, round(settings.passes * len(tuning) / settings.rows)), settings.most_steps)
    config = TrainingConfig(
        steps=steps,
        context=context,
        batch_tokens=settings.rows * context,
        learning_rate=size.learning_rate,
        weight_decay=settings.weight_decay,
        evaluate_every=max(1, steps // settings.evaluations),
        patience=settings.patience,
        seed=seed_for(seed, "implicit"),
    )
    model = Transformer(model_config(settings.size, tokenizer.vocabulary_size)).init(generator("implicit", seed))
    mixture = Mixture([(Packed(tuning, context, seed), 1.0)], seed)
    name = f"{world.name}, {len(pairs)} pairs"
    train(model, mixture, config, folder / "model", Packed(heldout, context, 0), name, "cpu", tokenizer.fingerprint)
    best = load_model(folder / "model" / "best.safetensors", tokenizer.fingerprint)
    return TransformerSynthesizer(best, tokenizer, measures.SYNTHESIZER)


def _explicit(
    world: ConceptWorld, documents: Tensor, pairs: np.ndarray, settings: EqualData, seed: int, shared: bool
) -> Synthesizer:
    name = measures.EXPLICIT_SHARED if shared else measures.EXPLICIT
    of_family = settings_for(world, shared=shared, steps=settings.explicit_steps)
    return fit_explicit(documents, pairs, world.V, of_family, seed, name=name).synthesizer


def _results(gap: BayesGap, label: str, seed: int, at: float) -> list[Result]:
    total, share = (gap.per_document, gap.per_document_se), (gap.fraction, gap.fraction_se)
    return [
        Result(measures.BAYES_GAP, gap.name, label, seed, *total, gap.n, 0.0, "nats/document", at),
        Result(measures.BAYES_GAP_FRACTION, gap.name, label, seed, *share, gap.n, 0.0, "share of I(d1;d2)", at),
    ]


def _information(gap: BayesGap, label: str, seed: int, at: float) -> Result:
    found = (gap.information, gap.information_se, gap.n)
    return Result(measures.PAIR_INFORMATION, measures.WORLD, label, seed, *found, None, "nats/document", at)
