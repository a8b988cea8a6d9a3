"""What one seed's models show: the evaluator plugin ``bayes`` (entry point group ``sbp_bayes.evaluators``)."""

import torch
from torch import Tensor

from analysis import measures
from analysis.bayes_gap import bayes_gaps
from analysis.concept_ranks import excess_by_octave, rank_octaves
from analysis.evaluate_narration import evaluate_narration
from analysis.examples import text_examples, world_examples
from analysis.excess_loss import excess_loss, mean_loss
from analysis.rows import Rows
from analysis.sources import documents_by_source
from analysis.summary import summarise_run
from analysis.synthesizers import ExactSynthesizer, TransformerSynthesizer, document_log_probs, wrong_synthesizers
from analysis.trained_models import arm_checkpoints, synthesizers
from analysis.world_source import tokens_of, world_of
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.documents.tokenizer import Tokenizer, load_tokenizer
from sbp_bayes.experiment import SeedContext
from sbp_bayes.files import read_json, write_json
from sbp_bayes.results import write_results
from sbp_bayes.seeds import generator
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.objective import evaluate
from synthetic_worlds import exact
from synthetic_worlds.narration import Narration
from synthetic_worlds.world import ConceptWorld, World

__all__ = ["evaluate_seed", "summarise_run"]


def evaluate_seed(context: SeedContext) -> None:
    """Write ``results.json``, ``results.parquet`` and ``examples.json`` of one seed into ``context.out``.

    In a world: its information, the Bayes gap of the synthesizers and of the wrong ones beside them, and each arm's
    excess over exact Bayes; for narrations questions and facts too. For text: each arm's held-out loss. For all:
    pairing statistics and example documents.
    """
    rows = Rows(context.source["label"], context.seed)
    tokenizer = load_tokenizer(context.tokenizer)
    _pairing(rows, context)
    world = world_of(context.source) if "world" in context.source else None
    if world is None:
        examples = _on_text(rows, context, tokenizer)
    else:
        _information(rows, context)
        evaluate_world = evaluate_narration if isinstance(world, Narration) else _in_world
        examples = evaluate_world(rows, context, tokenizer, world)
    write_results(context.out, rows.results)
    write_json(context.out / "examples.json", examples)


def _pairing(rows: Rows, context: SeedContext) -> None:
    for folder in context.pairs.values():
        found = read_json(folder / "pairs.json")
        rule = found["rule"]
        rows.add(measures.PAIRS, rule, found["kept_pairs"], None, found["documents"], None, "pairs")
        if found["precision"] is not None:
            n, share = found["kept_pairs"], found["precision"]
            # Pairs share documents, so this is the standard error of independent pairs: a lower bound.
            se = (share * (1 - share) / n) ** 0.5
            rows.add(measures.PAIRING_PRECISION, rule, share, se, n, found["chance_precision"], "share")


def _information(rows: Rows, context: SeedContext) -> None:
    information = dict(context.source["information"])
    documents = information.pop("documents")
    for measure, (estimate, se) in information.items():
        rows.add(measure, measures.WORLD, estimate, se, documents, None, "nats/document")


def _in_world(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: World) -> list[dict]:
    heldout = Corpus.open(context.corpus["heldout"], tokenizer)
    tokens = tokens_of(heldout)
    _arms_in_world(rows, context, tokenizer, world, tokens, _octaves(world, heldout))
    trained = [TransformerSynthesizer(load_model(path), tokenizer, name) for name, path in synthesizers(context)]
    d1 = tokens[: context.config.evaluation.documents]
    controls = wrong_synthesizers(world) if context.config.evaluation.controls else []
    compared = [*trained, ExactSynthesizer(world), *controls]
    for gap in bayes_gaps(compared, world, d1, generator=generator("bayes gap", context.seed)):
        rows.add_gap(gap)
    latents = heldout.latents()
    if not trained or latents is None:
        return []
    concepts = latents["concept"].to_pylist()
    return world_examples(world, trained[0], tokens, concepts, context.config.evaluation.examples, context.seed)


def _octaves(world: World, documents: Corpus) -> Tensor | None:
    """Of each document's concept by rank (N,); None where concepts are unknown, a continuum, or equally frequent."""
    latents = documents.latents()
    if latents is None or not isinstance(world, ConceptWorld):
        return None
    return rank_octaves(world.log_prior, torch.tensor(latents["concept"].to_pylist()))


def _arms_in_world(
    rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: World, tokens: Tensor, octaves: Tensor | None
) -> None:
    """Held-out loss of each arm and its excess over exact Bayes, on the same documents; ends of documents left out.

    octaves: see `_octaves`.
    """
    exact_log_probs = exact.log_evidence(world, tokens)
    lengths = torch.full((len(tokens),), tokens.shape[1])
    floor = mean_loss(-exact_log_probs, lengths).per_token
    for arm, checkpoint, path in arm_checkpoints(context):
        log_probs = document_log_probs(TransformerSynthesizer(load_model(path), tokenizer), tokens)
        rows.add_loss(measures.HELDOUT_LOSS, arm, checkpoint, mean_loss(-log_probs, lengths), floor)
        rows.add_excess(arm, checkpoint, excess_loss(log_probs, exact_log_probs, lengths))
        if octaves is not None:
            rows.add_ranks(arm, checkpoint, excess_by_octave(log_probs, exact_log_probs, lengths, octaves))
    validation = tokens_of(Corpus.open(context.corpus["validation"], tokenizer))
    nats = -exact.log_evidence(world, validation)
    # Training metrics count the end of each document as a target; with one length it costs exact Bayes nothing.
    loss = mean_loss(nats, torch.full((len(nats),), validation.shape[1] + 1))
    measure = measures.EXACT_VALIDATION_LOSS
    rows.add(measure, measures.EXACT, loss.per_token, loss.per_token_se, loss.n, None, "nats/token")


def _on_text(rows: Rows, context: SeedContext, tokenizer: Tokenizer) -> list[dict]:
    """Held-out loss of each arm in nats a target, ends of documents counted; example pairs and what was written."""
    corpus = Corpus.open(context.corpus["heldout"], tokenizer)
    heldout = DocumentSequences(corpus, tokenizer)
    packed = Packed(heldout, int(heldout.lengths.max()), seed=0)
    targets = torch.from_numpy(heldout.lengths)
    sources = documents_by_source(corpus)
    for arm, checkpoint, path in arm_checkpoints(context):
        nats = torch.as_tensor(evaluate(load_model(path), packed).documents)
        rows.add_loss(measures.HELDOUT_LOSS, arm, checkpoint, mean_loss(nats, targets), None)
        for source, members in sources.items():
            measure = f"{measures.HELDOUT_LOSS_OF} {source}"
            rows.add_loss(measure, arm, checkpoint, mean_loss(nats[members], targets[members]), None)
    return text_examples(context, tokenizer)
