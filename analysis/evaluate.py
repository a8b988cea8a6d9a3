"""What one seed's models show: the evaluator plugin ``bayes`` (entry point group ``sbp_bayes.evaluators``)."""

from pathlib import Path

import torch
from torch import Tensor

from analysis import measures
from analysis.bayes_gap import BayesGap, bayes_gaps
from analysis.examples import text_examples, world_examples
from analysis.excess_loss import MeanLoss, excess_loss, mean_loss
from analysis.summary import summarise_run
from analysis.synthesizers import ExactSynthesizer, TransformerSynthesizer, document_log_probs, wrong_synthesizers
from analysis.world_source import world_of
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.documents.tokenizer import Tokenizer, load_tokenizer
from sbp_bayes.experiment import SeedContext
from sbp_bayes.files import read_json, write_json
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.results import Result, write_results
from sbp_bayes.seeds import generator
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.objective import evaluate
from synthetic_worlds import exact
from synthetic_worlds.world import World

__all__ = ["evaluate_seed", "summarise_run"]

ARM_PREFIX = "arm "
RELATED_PAIRS = "related"
BEST_FILE = "best.safetensors"
CHECKPOINT_FILES = {measures.FINAL: "final.safetensors", measures.BEST: BEST_FILE}


def evaluate_seed(context: SeedContext) -> None:
    """Write ``results.json``, ``results.parquet`` and ``examples.json`` of one seed into ``context.out``.

    In a world: its information, the Bayes gap of the synthesizers and of the wrong ones beside them, and each arm's
    excess over exact Bayes. For text: each arm's held-out loss. For both: pairing statistics and example documents.
    """
    rows = Rows(context.source["label"], context.seed)
    tokenizer = load_tokenizer(context.tokenizer)
    _pairing(rows, context)
    if "world" in context.source:
        examples = _in_world(rows, context, tokenizer, world_of(context.source))
    else:
        examples = _on_text(rows, context, tokenizer)
    write_results(context.out, rows.results)
    write_json(context.out / "examples.json", examples)


class Rows:
    """Collects the results of one seed of one world."""

    def __init__(self, world: str, seed: int):
        self.world, self.seed = world, seed
        self.results: list[Result] = []

    def add(
        self,
        measure: str,
        subject: str,
        estimate: float,
        se: float | None,
        n: int,
        null: float | None,
        unit: str,
        at: float | None = None,
    ) -> None:
        self.results.append(Result(measure, subject, self.world, self.seed, estimate, se, n, null, unit, at))

    def add_gap(self, gap: BayesGap) -> None:
        """Total, per token, as a share of I(d1;d2), and by position."""
        self.add(measures.BAYES_GAP, gap.name, gap.per_document, gap.per_document_se, gap.n, 0.0, "nats/document")
        self.add(measures.BAYES_GAP_PER_TOKEN, gap.name, gap.per_token, gap.per_token_se, gap.n, 0.0, "nats/token")
        self.add(measures.BAYES_GAP_FRACTION, gap.name, gap.fraction, gap.fraction_se, gap.n, 0.0, "share of I(d1;d2)")
        for t, (mean, se) in enumerate(zip(gap.by_position.tolist(), gap.by_position_se.tolist(), strict=True)):
            self.add(measures.BAYES_GAP_AT_POSITION, gap.name, mean, se, gap.n, 0.0, "nats/token", float(t))

    def add_loss(self, measure: str, arm: str, checkpoint: str, loss: MeanLoss, null: float | None) -> None:
        name = measures.at_checkpoint(measure, checkpoint)
        self.add(name, arm, loss.per_token, loss.per_token_se, loss.n, null, "nats/token")


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


def _in_world(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: World) -> list[dict]:
    information = dict(context.source["information"])
    documents = information.pop("documents")
    for measure, (estimate, se) in information.items():
        rows.add(measure, measures.WORLD, estimate, se, documents, None, "nats/document")
    heldout = Corpus.open(context.corpus["heldout"], tokenizer)
    tokens = _tokens(heldout)
    _arms_in_world(rows, context, tokenizer, world, tokens)
    synthesizers = [
        TransformerSynthesizer(load_model(context.models[subject] / BEST_FILE), tokenizer, subject)
        for subject in (measures.SYNTHESIZER, measures.RANDOM_PAIRS_SYNTHESIZER)
        if subject in context.models
    ]
    d1 = tokens[: context.config.evaluation.documents]
    compared = [*synthesizers, ExactSynthesizer(world), *wrong_synthesizers(world)]
    for gap in bayes_gaps(compared, world, d1, generator=generator("bayes gap", context.seed)):
        rows.add_gap(gap)
    latents = heldout.latents()
    if not synthesizers or latents is None:
        return []
    concepts = latents["concept"].to_pylist()
    return world_examples(world, synthesizers[0], tokens, concepts, context.config.evaluation.examples, context.seed)


def _arms_in_world(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: World, tokens: Tensor) -> None:
    """Held-out loss of each arm and its excess over exact Bayes, on the same documents; ends of documents left out."""
    exact_log_probs = exact.log_evidence(world, tokens)
    lengths = torch.full((len(tokens),), tokens.shape[1])
    floor = mean_loss(-exact_log_probs, lengths).per_token
    for arm, checkpoint, path in _arm_checkpoints(context):
        log_probs = document_log_probs(TransformerSynthesizer(load_model(path), tokenizer), tokens)
        rows.add_loss(measures.HELDOUT_LOSS, arm, checkpoint, mean_loss(-log_probs, lengths), floor)
        excess = excess_loss(log_probs, exact_log_probs, lengths)
        rows.add_loss(measures.EXCESS_LOSS, arm, checkpoint, excess, 0.0)
        name = measures.at_checkpoint(measures.EXCESS_LOSS_PER_DOCUMENT, checkpoint)
        rows.add(name, arm, excess.per_document, excess.per_document_se, excess.n, 0.0, "nats/document")
    validation = _tokens(Corpus.open(context.corpus["validation"], tokenizer))
    nats = -exact.log_evidence(world, validation)
    # Training metrics count the end of each document as a target; with one length it costs exact Bayes nothing.
    loss = mean_loss(nats, torch.full((len(nats),), validation.shape[1] + 1))
    measure = measures.EXACT_VALIDATION_LOSS
    rows.add(measure, measures.EXACT, loss.per_token, loss.per_token_se, loss.n, None, "nats/token")


def _on_text(rows: Rows, context: SeedContext, tokenizer: Tokenizer) -> list[dict]:
    """Held-out loss of each arm in nats a target, ends of documents counted; example pairs and what was written."""
    heldout = DocumentSequences(Corpus.open(context.corpus["heldout"], tokenizer), tokenizer)
    packed = Packed(heldout, int(heldout.lengths.max()), seed=0)
    targets = torch.from_numpy(heldout.lengths)
    for arm, checkpoint, path in _arm_checkpoints(context):
        nats = torch.as_tensor(evaluate(load_model(path), packed).documents)
        rows.add_loss(measures.HELDOUT_LOSS, arm, checkpoint, mean_loss(nats, targets), None)
    if RELATED_PAIRS not in context.pairs or measures.SBP not in context.synthetic:
        return []
    return text_examples(
        Corpus.open(context.corpus["real"], tokenizer),
        Corpus.open(context.synthetic[measures.SBP], tokenizer),
        load_pairs(context.pairs[RELATED_PAIRS]).kept,
        tokenizer,
        context.config.evaluation.examples,
        context.seed,
    )


def _arm_checkpoints(context: SeedContext) -> list[tuple[str, str, Path]]:
    """(arm, checkpoint, file) of every arm trained."""
    arms = {s.removeprefix(ARM_PREFIX): folder for s, folder in context.models.items() if s.startswith(ARM_PREFIX)}
    return [(arm, name, folder / file) for arm, folder in arms.items() for name, file in CHECKPOINT_FILES.items()]


def _tokens(corpus: Corpus) -> Tensor:
    """(N, L) int64: the documents of a world all have one length."""
    return torch.from_numpy(corpus.tokens[:].astype("int64")).view(len(corpus), -1)
