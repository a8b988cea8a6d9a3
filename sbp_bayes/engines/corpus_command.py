"""`sbp corpus`: a corpus folder from files, each file a task of an engine."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from sbp_bayes.engines.options import Engine
from sbp_bayes.errors import UserError


@dataclass(frozen=True)
class CorpusArguments:
    """Make a corpus folder from files: read, cleaned, without exact copies, tokenised; file by file on any engine.

    The same command goes on where it was stopped. The folder holds part-*.parquet (text and tokens), tokens.bin, the
    tokenizer, dropped.parquet with every document left out and the reason, and source.json with the counts. It is what
    sbp pairs and sbp synthesize read; in an experiment, corpus.path = "OUT/part-*.parquet". A folder that holds another
    corpus is not written, unless --replace. See docs/scaling.md.
    """

    paths: tyro.conf.Positional[tuple[str, ...]]
    """Folders, globs or files: .txt, .jsonl (also .gz, .zst), .parquet. Each file is one shard."""
    out: Path
    """Folder to write; the work under way lies in OUT.work."""
    replace: bool = False
    """Remove the corpus of other files or settings that OUT holds, and all else that lies in it."""
    tokenizer: Path | None = None
    """A tokenizer.json, or a saved tokenizer's folder; without one a BPE is trained."""
    vocabulary: int = 8192
    """Of the BPE."""
    sample_mb: int = 100
    """Megabytes that the BPE is trained on, from the first files; 0: all."""
    text_column: str = "text"
    """Column of .jsonl and .parquet."""
    id_column: str = ""
    """Without one: file and row."""
    concept_column: str = ""
    """What a document is about, for the statistics of pairs."""
    source_column: str = ""
    """Without one: the file."""
    paragraphs: bool = False
    """A .txt is a document for each block between blank lines."""
    on_bad: Literal["stop", "skip"] = "stop"
    """What can't be read, or has an id twice: stop, or skip it and count it."""
    max_characters: int = 100_000
    """Of a document; 0: no limit."""
    max_tokens: int = 0
    """Of a document; 0: no limit."""
    long_documents: Literal["refuse", "split", "drop"] = "refuse"
    """What becomes of longer ones."""
    min_characters: int = 0
    """Shorter ones are dropped."""
    languages: tuple[str, ...] = ()
    """Keep these only: da, de, en, es, fr, it, nl, pt, sv; none: all."""
    engine: tyro.conf.OmitArgPrefixes[Engine] = dataclasses.field(default_factory=Engine)


def corpus(arguments: list[str]) -> int:
    """Make a corpus folder from files, file by file, here or on a cluster."""
    parsed = tyro.cli(CorpusArguments, prog="sbp corpus", args=arguments)
    if not parsed.paths:
        raise UserError("sbp corpus: expected folders, globs or files to read")
    counts = _build(parsed)
    if counts is None:
        return 0
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in counts["left out"].items()) or "none"
    print(f"{parsed.out}: {counts['documents']:,} documents, {counts['tokens']:,} tokens; left out: {left_out}")
    return 0


def _build(parsed: CorpusArguments) -> dict | None:
    from sbp_bayes.documents.clean_config import LANGUAGES, CleanSettings
    from sbp_bayes.documents.text_files import find_files
    from sbp_bayes.documents.text_source import columns_of
    from sbp_bayes.documents.tokenizer_choice import TokenizerSettings
    from sbp_bayes.engines.corpus_build import build_corpus

    values = dataclasses.asdict(parsed)
    for name in parsed.languages:
        if name not in LANGUAGES:
            raise UserError(f"--languages {name}: expected some of {', '.join(LANGUAGES)}")
    for name in ("max_characters", "max_tokens", "min_characters", "sample_mb"):
        if values[name] < 0:
            raise UserError(f"--{name.replace('_', '-')} {values[name]}: expected 0 or more")
    taken = {f.name for f in dataclasses.fields(CleanSettings)} & values.keys()
    clean = CleanSettings(**{name: values[name] for name in taken} | {"languages": list(parsed.languages)})
    if parsed.tokenizer:
        tokenizer = TokenizerSettings(kind="file", path=str(parsed.tokenizer))
    else:
        tokenizer = TokenizerSettings(vocabulary=parsed.vocabulary, sample_mb=parsed.sample_mb)
    files = find_files(list(parsed.paths))
    try:
        return build_corpus(
            files, columns_of(values), parsed.paragraphs, clean, tokenizer, parsed.out, parsed.engine, parsed.replace
        )
    except UserError as error:
        raise UserError(_with_options(str(error))) from error


def _with_options(message: str) -> str:
    """A message with this command's options in place of the keys of an experiment that they stand for."""
    message = re.sub(r'corpus\.clean\.long_documents = "(\w+)" or "(\w+)"', r"--long-documents \1 or \2", message)
    message = re.sub(r'tokenizer\.path = "([^"]*)"', r"--tokenizer \1", message)
    message = re.sub(r"\bparagraphs = true\b", "--paragraphs", message)
    return re.sub(r"\bcorpus\.clean\.(\w+)", lambda key: f"--{key[1].replace('_', '-')}", message)
