"""What of a seed of an experiment the predictions are put to: its synthesizers, with what their pairs were like."""

from pathlib import Path

import torch
from torch import Tensor

from analysis import measures
from analysis.predictions.evaluation_pairs import heldout_pairs, tuning_pairs
from analysis.predictions.pairing_law import TiltedSynthesizer, tilted_synthesizer
from analysis.predictions.subject import Subject
from analysis.synthesizers import TransformerSynthesizer
from analysis.trained_models import synthesizers
from analysis.world_source import tokens_of, world_of
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import Tokenizer, load_tokenizer
from sbp_bayes.experiment import SeedContext
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.training.checkpoint import BEST, load_model
from synthetic_worlds.narration import Narration
from synthetic_worlds.pair_sampling import PairSampling
from synthetic_worlds.polya import DirichletMultinomial
from synthetic_worlds.world import ConceptWorld, World


def why_none(context: SeedContext) -> str | None:
    """Why there is nothing to put the predictions to in this seed, or None where there is."""
    if "world" not in context.source:
        return f"{context.source['label']} is no world: nobody knows what exact Bayes says of it"
    label, world = context.source["label"], world_of(context.source)
    if isinstance(world, Narration):
        return f"{label}: the predictions take worlds of tokens; this one writes text"
    if context.config.pairing.rule == "similarity" and not isinstance(world, ConceptWorld):
        return f"{label}: the law of pairs found by similarity is known for finitely many concepts only"
    return None if synthesizers(context) else "no synthesizer was trained"


def subjects_of(context: SeedContext) -> list[Subject]:
    """The synthesizer and, where there is one, that of random pairs, each judged on unseen documents of the world.

    ``evaluation.documents`` of the held-out documents are d1; the base model is the law of a document alone. None where
    `why_none` has a reason.
    """
    if why_none(context):
        return []
    tokenizer, world = load_tokenizer(context.tokenizer), world_of(context.source)
    d1 = _tokens(context.corpus["heldout"], tokenizer)[: context.config.evaluation.documents]
    alone = TransformerSynthesizer(load_model(context.models["base"] / BEST), tokenizer, "base")
    found = []
    for name, path in synthesizers(context):
        trained = TransformerSynthesizer(load_model(path), tokenizer, name)
        related = name == measures.SYNTHESIZER
        tilted = _tilted(context, tokenizer, world) if related else None
        found.append(
            Subject(
                trained,
                world,
                d1,
                context.seed,
                alone,
                pairs=pairs_of(context.config.pairing, world) if related else PairSampling(wrong=1.0),
                conditioning=context.config.synthesizer.group - 1,
                model=trained,
                tilted=tilted,
                unseen=None if tilted is None else heldout_pairs(context),
                pool=_pool(context, tokenizer, world),
            )
        )
    return found


def pairs_of(pairing: PairingConfig, world: World) -> PairSampling:
    """How pairs by ``pairing`` come about, where sampling says it: all but the rule similarity, which is `tilted`."""
    if pairing.rule == "random":
        return PairSampling(wrong=1.0, near_duplicate=pairing.near_duplicate)
    prior = None
    if pairing.concept_zipf and isinstance(world, ConceptWorld):
        weights = world.prior * (torch.arange(world.C, dtype=torch.float64) + 1) ** -pairing.concept_zipf
        prior = weights / weights.sum()
    return PairSampling(
        wrong=pairing.wrong if "concept" in pairing.latents else 1.0,
        near_duplicate=pairing.near_duplicate,
        shared_style=float("style" in pairing.latents),
        prior=prior,
    )


def _tilted(context: SeedContext, tokenizer: Tokenizer, world: World) -> TiltedSynthesizer | None:
    """The law of pairs that a rule found by what documents say, from those that tuning saw; None where sampling says
    what they are."""
    if context.config.pairing.rule != "similarity":
        return None
    return tilted_synthesizer(_tokens(context.corpus["real"], tokenizer), tuning_pairs(context), world)


def _pool(context: SeedContext, tokenizer: Tokenizer, world: World) -> Tensor | None:
    """(K, V) the laws of words that the training documents had, each once, where concepts are a continuum of them."""
    latents = Corpus.open(context.corpus["real"], tokenizer).latents()
    if latents is None or not isinstance(world, DirichletMultinomial):
        return None
    first: dict[int, int] = {}
    for row, code in enumerate(latents["concept"].to_pylist()):
        first.setdefault(code, row)
    points = latents["concept_point"].take(list(first.values())).to_pylist()
    return torch.tensor(points, dtype=torch.float64)


def _tokens(folder: Path, tokenizer: Tokenizer) -> Tensor:
    """(N, L) int64: the documents of a world all have one length."""
    return tokens_of(Corpus.open(folder, tokenizer))
