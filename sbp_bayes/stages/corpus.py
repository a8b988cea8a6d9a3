"""The first stage: documents of every split on disk, and the tokenizer."""

from pathlib import Path

from sbp_bayes import plugins
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.sources import SPLITS, SplitSizes
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer, Tokenizer
from sbp_bayes.files import write_json
from sbp_bayes.graph import Stage
from sbp_bayes.ledger import Entry


def build_corpus(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Documents of every split as Parquet and memory-mapped tokens, and the tokenizer, trained on D alone."""
    settings = stage.config["corpus"]
    source = plugins.load("sbp_bayes.sources", settings["source"]).from_options(
        settings["options"], stage.config["seed"]
    )
    splits = source.splits(SplitSizes(*(settings[name] for name in SPLITS)))
    if "tokens" in splits["real"].documents.column_names:
        tokenizer: Tokenizer = SymbolTokenizer(source.symbols)
    else:
        texts = splits["real"].documents["text"].to_pylist()
        tokenizer = BpeTokenizer.train(texts, stage.config["tokenizer"]["vocabulary"])
    tokenizer.save(out / "tokenizer")
    for name in SPLITS:
        split = splits[name]
        latents = None if settings["hide_latents"] or split.latents is None else [split.latents]
        write_corpus(out / name, [split.documents], tokenizer, latents)
    write_json(out / "source.json", source.describe())
    return []
