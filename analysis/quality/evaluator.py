"""The evaluator plugin ``quality`` (entry point group ``sbp_bayes.evaluators``): how good a run's synthetic text is."""

from itertools import chain

import pyarrow.parquet as pq

from analysis import measures
from analysis.quality.column import Column, RealText, real_column, synthetic_column
from analysis.quality.documents import SHARE, add_beside_corpus, add_documents, add_estimate, add_variety
from analysis.quality.embedding import Embed, embedder_named
from analysis.quality.judge import judge_from, share_of
from analysis.quality.likelihood import nats_per_token
from analysis.quality.pairs import add_copying, add_headwords, add_similarity, headwords_with_partner
from analysis.quality.words import hashed_words
from analysis.rows import Rows
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import Tokenizer, load_tokenizer
from sbp_bayes.experiment import SeedContext
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.progress import Progress
from sbp_bayes.results import write_results
from sbp_bayes.seeds import numpy_generator
from sbp_bayes.synthesis.filters import REASONS
from sbp_bayes.training.checkpoint import BEST, load_model

READERS = ("arm oracle", "arm repetition", "base")  # whose loss on the text is taken, the first that was trained
HEADWORDS = 2000  # among which the nearest is sought
JUDGED = 200  # documents of a column, unless evaluation.judge.documents says otherwise


def evaluate_quality(context: SeedContext) -> None:
    """Rows on each synthetic corpus of a seed, and on real text as the last column; none in worlds or without text.

    Writes ``results.json``. What costs most reads ``evaluation.documents`` documents a column, the rest
    ``evaluation.quality``.
    """
    rows = Rows(context.source["label"], context.seed)
    if "world" not in context.source and context.synthetic and Corpus.open(context.corpus["real"]).has_text:
        measure_quality(rows, context)
    write_results(context.out, rows.results)


def measure_quality(rows: Rows, context: SeedContext) -> None:
    """All measures of all columns of a seed whose corpus is text."""
    tokenizer = load_tokenizer(context.tokenizer)
    corpus = Corpus.open(context.corpus["real"], tokenizer)
    related = load_pairs(context.pairs["related"]).kept if "related" in context.pairs else None
    training, heldout = RealText(corpus, related), RealText(Corpus.open(context.corpus["heldout"], tokenizer), None)
    columns = columns_of(context, training, heldout, tokenizer)
    words = [hashed_words(column.texts) for column in columns]
    # Held-out text too, or its headwords would be no words of TF-IDF's.
    known = chain(corpus.batches("text"), heldout.corpus.batches("text"))
    embed = embedder_named(context.config.evaluation.quality_embedder, known, context.source, tokenizer)
    sources = [*[training] * len(context.synthetic), heldout]
    headwords = _headwords(training, heldout, context.seed)
    size = min(len(column.texts) for column in columns)
    at_words = min(int(own.lengths[:size].sum()) for own in words)
    with Progress(f"seed {context.seed}: quality of text", len(columns), "corpora") as progress:
        for column, own, source in zip(columns, words, sources, strict=True):
            add_documents(rows, column, own, words[-1])
            add_variety(rows, column, own, size, at_words)
            add_beside_corpus(rows, column, own, corpus.batches("text"))
            if column.written is not None:
                _add_written(rows, column, source, headwords.get(id(source), []), embed, context)
            progress.advance(1)
    _add_losses(rows, columns, context, tokenizer)
    _add_rejected(rows, context)
    _add_judged(rows, columns, context)


def columns_of(context: SeedContext, training: RealText, heldout: RealText, tokenizer: Tokenizer) -> list[Column]:
    """A column for each synthetic corpus, real text last."""
    size, seed = context.config.evaluation.quality, context.seed
    columns = [
        synthetic_column(arm, Corpus.open(folder, tokenizer), training, size, seed)
        for arm, folder in context.synthetic.items()
    ]
    return [*columns, real_column(measures.REAL, heldout, training, size, seed)]


def _headwords(training: RealText, heldout: RealText, seed: int) -> dict[int, list[str]]:
    """As many headwords of D as of held-out text, by the corpus's id, so that chance is the same; {} without any."""
    if training.headwords is None or heldout.headwords is None:
        return {}
    known = {id(real): headwords_with_partner(real) for real in (training, heldout)}
    count = min(HEADWORDS, *map(len, known.values()))
    rng = numpy_generator("quality headwords", seed)
    return {key: [found[i] for i in rng.permutation(len(found))[:count]] for key, found in known.items()}


def _add_written(
    rows: Rows, column: Column, source: RealText, headwords: list[str], embed: Embed, context: SeedContext
) -> None:
    size = context.config.evaluation.documents
    rng = numpy_generator("quality pairs", column.name, context.seed)
    add_copying(rows, column.name, column.written)
    add_similarity(rows, column.name, column.written.first(size), embed, rng)
    if headwords:
        add_headwords(rows, column.name, column.written, source, headwords, embed, size, rng)


def _add_losses(rows: Rows, columns: list[Column], context: SeedContext, tokenizer: Tokenizer) -> None:
    reader = next((name for name in READERS if name in context.models), None)
    if reader is None:
        return
    model = load_model(context.models[reader] / BEST, tokenizer.fingerprint)
    size = context.config.evaluation.documents
    for column in columns:
        found = nats_per_token(model, tokenizer, column.texts[:size], column.groups[:size])
        add_estimate(rows, f"{measures.TEXT_LOSS} {reader}", column.name, found, "nats/token")


def _add_rejected(rows: Rows, context: SeedContext) -> None:
    """What the filter of the synthesis left out, as shares of all that was sampled."""
    for arm, folder in context.synthetic.items():
        file = folder.parent / "rejected.parquet"
        if not file.exists():
            continue
        reasons = pq.read_table(file, columns=["reason"])["reason"].to_pylist()
        total = len(reasons) + len(Corpus.open(folder))
        for reason in REASONS:
            share = reasons.count(reason) / total
            se = (share * (1 - share) / total) ** 0.5
            rows.add(f"{measures.TEXT_REJECTED} {reason}", arm, share, se, total, None, SHARE)


def _add_judged(rows: Rows, columns: list[Column], context: SeedContext) -> None:
    table = context.config.evaluation.judge
    if not table:
        return
    size, judge = table.get("documents", JUDGED), judge_from(table)
    for column in columns:
        questions = [(measures.TEXT_NOT_FACTUAL, judge.not_factual(column.texts[:size]), column.groups[:size])]
        if column.written is not None:
            pairs = column.written.first(size)
            questions.append((measures.TEXT_IRRELEVANT, judge.irrelevant(pairs.d1, pairs.d2), pairs.seeds))
        for measure, answers, groups in questions:
            found, unread = share_of(answers, groups)
            add_estimate(rows, measure, column.name, found, SHARE)
            rows.add(f"{measures.TEXT_UNJUDGED} {measure}", column.name, unread, None, len(answers), 0.0, SHARE)
