"""The first stage: documents of every split on disk, and the tokenizer."""

import itertools
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from sbp_bayes import plugins
from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.prepare import prepare
from sbp_bayes.documents.sources import SPLITS, ReadSource, SplitSizes, SplitSource
from sbp_bayes.documents.token_limits import within_limits
from sbp_bayes.documents.tokenizer import SymbolTokenizer, Tokenizer
from sbp_bayes.documents.tokenizer_choice import TokenizerSettings, make_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import write_json
from sbp_bayes.graph import Stage
from sbp_bayes.ledger import Entry

DROPPED = "dropped.parquet"


def build_corpus(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Documents of every split as Parquet and memory-mapped tokens, and the tokenizer, trained on D alone."""
    settings = stage.config["corpus"]
    source = plugins.load("sbp_bayes.sources", settings["source"]).from_options(
        settings["options"], stage.config["seed"]
    )
    clean = CleanSettings(**settings["clean"])
    if isinstance(source, ReadSource):
        _build_from_documents(source, stage, clean, out)
    elif clean != CleanSettings() or settings["split_by"] != "auto":
        raise UserError(
            f"corpus.clean and corpus.split_by: for text that is read, not for [corpus.{settings['source']}]"
        )
    else:
        _build_from_splits(source, stage, out)
    return []


def _build_from_splits(source: SplitSource, stage: Stage, out: Path) -> None:
    """A corpus of splits that come in memory, with the latents that only referees may see."""
    settings = stage.config["corpus"]
    splits = source.splits(_sizes(settings))
    if "tokens" in splits["real"].documents.column_names:
        tokenizer: Tokenizer = SymbolTokenizer(source.symbols)
    else:
        tokenizer = _tokenizer(stage, [splits["real"].documents])
    tokenizer.save(out / "tokenizer")
    for name in SPLITS:
        split = splits[name]
        latents = None if settings["hide_latents"] or split.latents is None else [split.latents]
        write_corpus(out / name, [split.documents], tokenizer, latents)
    write_json(out / "source.json", source.describe())


def _build_from_documents(source: ReadSource, stage: Stage, clean: CleanSettings, out: Path) -> None:
    """A corpus of documents that are read, cleaned and divided; a shard at a time is in memory."""
    settings = stage.config["corpus"]
    by_concept = settings["split_by"] == "concept" or (settings["split_by"] == "auto" and source.has_concepts)
    if by_concept and not source.has_concepts:
        raise UserError('corpus.split_by = "concept": the documents have no concepts (name a concept_column)')
    sizes = replace(_sizes(settings), oracle_read=stage.config.get("oracle_read", True))
    # The scratch lies beside the result: the system's folder for temporary files may be in memory itself.
    with tempfile.TemporaryDirectory(dir=out, prefix=".scratch.") as scratch, Dropped(out / DROPPED) as dropped:
        prepared = prepare(
            source.read(),
            source.name,
            clean,
            by_concept,
            sizes,
            stage.config["seed"],
            dropped,
            Path(scratch),
        )
        tokenizer = _tokenizer(stage, prepared.shards("real"))
        tokenizer.save(out / "tokenizer")
        written = {}
        for name in SPLITS:
            tables = (within_limits(t, tokenizer, clean, name, dropped) for t in prepared.shards(name))
            # The writer asks for a table of each in turn, so that no more than one waits.
            tables, again = itertools.tee(tables)
            latents = (table.select(["concept"]) for table in again)
            keep = source.has_concepts and not settings["hide_latents"]
            written[name] = write_corpus(out / name, tables, tokenizer, latents if keep else None)
    cleaning = {"settings": clean, "documents": {**prepared.statistics, **dropped.counts}, "splits": _counts(written)}
    if sizes.fit:
        cleaning["asked"] = {name: getattr(sizes, name) for name in SPLITS}
        made = ", ".join(f"{name} {len(corpus):,} of {cleaning['asked'][name]:,}" for name, corpus in written.items())
        usable = prepared.statistics["usable"]
        print(f"{stage.name}: corpus.fit, {usable:,} usable documents: {made}", file=sys.stderr, flush=True)
    write_json(out / "source.json", {**source.describe(), "cleaning": cleaning})


def _tokenizer(stage: Stage, tables: Iterable[pa.Table]) -> Tokenizer:
    texts = (text for table in tables for text in table["text"].to_pylist())
    return make_tokenizer(TokenizerSettings(**stage.config["tokenizer"]), texts)


def _sizes(settings: dict) -> SplitSizes:
    return SplitSizes(*(settings[name] for name in SPLITS), fit=settings["fit"])


def _counts(corpora: dict[str, Corpus]) -> dict[str, dict[str, int]]:
    """Documents and tokens of each split."""
    return {
        name: {
            "documents": len(corpus),
            "tokens": int(corpus.lengths.sum()),
            "longest": int(corpus.lengths.max()),
        }
        for name, corpus in corpora.items()
    }
