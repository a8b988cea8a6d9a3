"""What one seed's models show in the narration world, where documents are text and all of it is exactly known."""

import torch

from analysis import measures
from analysis.bayes_gap import bayes_gaps, kl_by_token, summarise_gap
from analysis.examples import text_examples
from analysis.excess_loss import excess_loss, mean_loss
from analysis.fact_keeping import FactShare, facts_kept, read_values, untrue_facts
from analysis.narration_texts import exact_sentence_log_probs, model_sentence_log_probs, related_texts
from analysis.question_answering import Accuracy, accuracy, answers, bayes_accuracy
from analysis.rows import Rows
from analysis.synthesizers import ExactSynthesizer, wrong_synthesizers
from analysis.trained_models import arm_checkpoints, synthesizers
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.experiment import SeedContext
from sbp_bayes.seeds import generator
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.objective import evaluate
from synthetic_worlds import exact
from synthetic_worlds.narration import Narration
from synthetic_worlds.narration_cloze import continuing_questions, related_questions
from synthetic_worlds.narration_posterior import hallucination_floor
from synthetic_worlds.narration_text import text_log_predictive

FLOOR_DOCUMENTS = 4096


def evaluate_narration(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: Narration) -> list[dict]:
    """Rows: arms' losses and excess over exact Bayes, their answers to questions; synthesizers' Bayes gaps and answers;
    what synthetic documents say, and the floor of invention. Returns example documents."""
    _losses(rows, context, tokenizer, world)
    _questions(rows, context, tokenizer, world)
    _gaps(rows, context, tokenizer, world)
    _facts(rows, context, tokenizer, world)
    floor = hallucination_floor(world, FLOOR_DOCUMENTS, generator("hallucination floor", context.seed))
    each, se = floor.attributes.mean(0).tolist()
    rows.add(measures.HALLUCINATION_FLOOR, measures.WORLD, each, se, floor.n, None, "share of attributes")
    rows.add(measures.HALLUCINATION_FLOOR_PERSON, measures.WORLD, *floor.overall, floor.n, None, "share of documents")
    examples = text_examples(context, tokenizer)
    drawn = related_texts(world, [e["d1"] for e in examples], generator("examples exact", context.seed))
    return [{**example, "exact": text} for example, text in zip(examples, drawn, strict=True)]


def _losses(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: Narration) -> None:
    """Held-out loss of each arm, ends of documents counted, and its excess over exact Bayes on the same texts."""
    heldout = Corpus.open(context.corpus["heldout"], tokenizer)
    sequences = DocumentSequences(heldout, tokenizer)
    packed, targets = Packed(sequences, int(sequences.lengths.max()), seed=0), torch.from_numpy(sequences.lengths)
    exact_log_probs = text_log_predictive(world, heldout.column("text").to_pylist())
    floor = mean_loss(-exact_log_probs, targets).per_token
    for arm, checkpoint, path in arm_checkpoints(context):
        nats = torch.as_tensor(evaluate(load_model(path), packed).documents)
        rows.add_loss(measures.HELDOUT_LOSS, arm, checkpoint, mean_loss(nats, targets), floor)
        rows.add_excess(arm, checkpoint, excess_loss(-nats, exact_log_probs, targets))
    validation = Corpus.open(context.corpus["validation"], tokenizer)
    nats = -text_log_predictive(world, validation.column("text").to_pylist())
    loss = mean_loss(nats, torch.from_numpy(validation.lengths + 1))
    measure = measures.EXACT_VALIDATION_LOSS
    rows.add(measure, measures.EXACT, loss.per_token, loss.per_token_se, loss.n, None, "nats/token")


def _questions(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: Narration) -> None:
    """Arms go on with a text, synthesizers with a related one. The questions are on documents of their own."""
    if world.L < 2:
        return
    stream, n = generator("questions", context.seed), context.config.evaluation.documents
    options = min(4, world.K)
    continuing = continuing_questions(world, world.sample(n, stream), stream, options)
    for arm, checkpoint, path in arm_checkpoints(context):
        found = accuracy(continuing, answers(load_model(path), tokenizer, continuing))
        _add_accuracy(rows, measures.at_checkpoint(measures.QA_ACCURACY, checkpoint), arm, found)
    _add_accuracy(rows, measures.QA_CEILING, measures.EXACT, bayes_accuracy(continuing))
    related = related_questions(world, [world.sample(n, stream)], stream, options)
    for subject, path in synthesizers(context):
        found = accuracy(related, answers(load_model(path), tokenizer, related))
        _add_accuracy(rows, measures.RELATED_QA_ACCURACY, subject, found)
    _add_accuracy(rows, measures.RELATED_QA_ACCURACY, measures.EXACT, bayes_accuracy(related))


def _add_accuracy(rows: Rows, measure: str, subject: str, found: Accuracy) -> None:
    rows.add(measure, subject, found.share, found.se, found.n, found.chance, "share of questions")


def _gaps(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: Narration) -> None:
    """Bayes gaps sentence by sentence, of trained synthesizers from the log-ratio of texts that exact Bayes drew.

    The world's own synthesizers sum the full KL of each next sentence; names are the same under all of them.
    """
    d1 = world.sample(context.config.evaluation.documents, generator("bayes gap d1", context.seed))
    stream = generator("bayes gap", context.seed)
    first = world.texts(d1)
    second = related_texts(world, first, stream)
    d2 = world.parse(second)
    ours = [ExactSynthesizer(world), *wrong_synthesizers(world)]
    log_p = exact_sentence_log_probs(world, d2, d1.tokens)
    ignoring = kl_by_token(
        exact.next_token_log_probs(world, d2.tokens, d1.tokens), exact.next_token_log_probs(world, d2.tokens)
    )
    for subject, path in synthesizers(context):
        log_q = model_sentence_log_probs(load_model(path), tokenizer, second, first)
        rows.add_gap(summarise_gap(subject, log_p - log_q, ignoring), "sentence")
    for gap in bayes_gaps(ours, world, d1.tokens, d2.tokens):
        rows.add_gap(gap, "sentence")


def _facts(rows: Rows, context: SeedContext, tokenizer: Tokenizer, world: Narration) -> None:
    """What the documents of each synthetic corpus say of the person of their seed document."""
    real = Corpus.open(context.corpus["real"], tokenizer)
    latents = real.latents()
    d1 = world.parse(real.column("text").to_pylist()).tokens
    for arm, folder in context.synthetic.items():
        corpus = Corpus.open(folder, tokenizer)
        texts = corpus.column("text").to_pylist()
        # Grammar alone is not enough: a document mentions nothing twice.
        valid = text_log_predictive(world, texts) > -torch.inf
        second, known = read_values(world, texts)
        for measure, found, unit in (
            (measures.VALID_DOCUMENTS, valid.double(), "share of documents"),
            (measures.VALID_SENTENCES, known, "share of sentences"),
        ):
            rows.add(measure, arm, float(found.mean()), float(found.std()) / len(found) ** 0.5, len(found), 1.0, unit)
        seeds = torch.tensor(corpus.column("seed_doc").to_pylist())
        if not (second >= 0).any():
            continue
        _add_share(rows, measures.FACTS_KEPT, arm, facts_kept(world, d1[seeds], second))
        if latents is not None:
            concepts = torch.tensor(latents["concept"].to_pylist())[seeds]
            _add_share(rows, measures.UNTRUE_FACTS, arm, untrue_facts(world, d1[seeds], second, concepts))


def _add_share(rows: Rows, measure: str, arm: str, found: FactShare) -> None:
    rows.add(measure, arm, found.share, found.se, found.documents, found.exact, "share of facts")
