"""The stages of SBP: what each reads, does and writes. One function a kind of stage (`sbp_bayes.graph.Kind`)."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes import plugins
from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.packing import DocumentSequences, Mixture, Packed, PairSequences
from sbp_bayes.documents.sources import SPLITS, SplitSizes
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer, Tokenizer, load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import SeedContext, experiment_from
from sbp_bayes.files import read_json, write_json
from sbp_bayes.graph import Kind, Stage
from sbp_bayes.ledger import Entry, forward_flops
from sbp_bayes.model.sizes import model_config, size_named
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.pairs import load_pairs, make_pairs, save_pairs
from sbp_bayes.pairing.split import split_pairs
from sbp_bayes.results import read_results, write_results
from sbp_bayes.seeds import generator, seed_for
from sbp_bayes.synthesis.filters import post_filter
from sbp_bayes.synthesis.sampler import SamplingConfig, sample
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.trainer import TrainingConfig, train

BEST = "best.safetensors"


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


class _Data:
    """A corpus stage's folder: its splits and tokenizer, opened once."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.tokenizer = load_tokenizer(folder / "tokenizer")
        self.splits = {name: Corpus.open(folder / name, self.tokenizer) for name in SPLITS}
        self.real = self.splits["real"]
        self.longest = int(max(corpus.lengths.max() for corpus in self.splits.values()))

    def packed(self, corpus: Corpus, context: int, seed: int) -> Packed:
        return Packed(DocumentSequences(corpus, self.tokenizer), context, seed)


def _budget(settings: dict, data: _Data, share: float) -> tuple[int, int, int]:
    """(context, rows of a batch, steps) of ``share`` of an arm's budget; the same for every arm of a seed."""
    training = settings["training"]
    context = training["context"] or data.longest + 1
    rows = max(1, round((training["batch_tokens"] or size_named(settings["model"]["size"]).batch_tokens) / context))
    real = data.packed(data.real, context, 0)
    return context, rows, max(1, round(share * training["epochs"] * len(real) / rows))


def _training_config(
    config: dict, context: int, rows: int, steps: int, seed: int, rate: float = 1.0, **changes
) -> TrainingConfig:
    """The trainer's config from an experiment's [training] table, with what a stage sets itself.

    rate: the learning rate, as a multiple of the table's, or of the size's own where the table has none.
    """
    settings = config["training"]
    values = {
        "steps": steps,
        "batch_tokens": rows * context,
        "context": context,
        "learning_rate": rate * (settings["learning_rate"] or size_named(config["model"]["size"]).learning_rate),
        "warmup": settings["warmup"],
        "schedule": settings["schedule"],
        "weight_decay": settings["weight_decay"],
        "clip": settings["clip"],
        "accumulation": settings["accumulation"],
        "evaluate_every": max(1, round(steps / settings["evaluations"])),
        "compile": settings["compile"],
        "seed": seed,
    }
    return TrainingConfig(**{**values, **changes})


def _fresh_model(stage: Stage, tokenizer: Tokenizer) -> Transformer:
    """A new model; every arm of a seed starts from the same weights, so that arms are paired."""
    model = Transformer(model_config(stage.config["model"]["size"], tokenizer.vocabulary_size))
    model.init(generator(stage.config["seed"], "initial weights"))
    return model


def train_base(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """The base model: D alone, for a share of an arm's budget."""
    return _train_on_documents(stage, inputs, out, device, stage.config["base"]["share"], "real", 0.0)


def train_arm(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """A fresh model on one arm's documents, for the whole budget."""
    share = stage.config["synthetic_share"]
    return _train_on_documents(stage, inputs, out, device, 1.0, stage.config["documents"], share)


def _train_on_documents(
    stage: Stage, inputs: dict[str, Path], out: Path, device: str, budget: float, documents: str, share: float
) -> list[Entry]:
    data, seed = _Data(inputs["corpus"]), stage.config["seed"]
    context, rows, steps = _budget(stage.config, data, budget)
    parts = [(data.packed(data.splits[documents], context, seed_for(seed, "pack", documents)), 1.0 - share)]
    if "synthetic" in inputs:
        synthetic = Corpus.open(inputs["synthetic"] / "corpus", data.tokenizer)
        parts.append((data.packed(synthetic, context, seed_for(seed, "pack synthetic")), share))
    parts = [(packed, weight) for packed, weight in parts if weight > 0]
    config = _training_config(stage.config, context, rows, steps, seed_for(seed, "train"))
    return _train(
        stage, data, Mixture(parts, seed_for(seed, "order")), config, _fresh_model(stage, data.tokenizer), out, device
    )


def _train(stage, data, mixture, config, model, out, device, validation=None) -> list[Entry]:
    if validation is None:
        validation = data.packed(data.splits["validation"], config.context, 0)
    trained = train(model, mixture, config, out, validation, stage.name, device, data.tokenizer.fingerprint)
    return [Entry(stage.name, "training", trained.tokens, trained.flops)]


def build_pairs(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Pairs (d1, d2) of D by a rule; random pairs give each d1 as many partners as the related ones do."""
    data = _Data(inputs["corpus"])
    entries: list[Entry] = []
    model = None
    if "base" in inputs:
        model = load_model(inputs["base"] / BEST, data.tokenizer.fingerprint)
        tokens = int(data.real.lengths.sum()) + 2 * len(data.real)
        context = float(data.real.lengths.mean()) / 2
        flops = forward_flops(model.matrix_parameters, model.config.layers, model.attention_width, tokens, context)
        entries.append(Entry(stage.name, "embedding", tokens, flops))
    pairs = make_pairs(
        data.real,
        PairingConfig(**stage.config["pairing"]),
        seed_for(stage.config["seed"], "pairs"),
        model=model,
        tokenizer=data.tokenizer,
        device=device,
        like=load_pairs(inputs["like"]) if "like" in inputs else None,
    )
    save_pairs(out, pairs)
    return entries


def tune_synthesizer(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """The base model tuned on pairs, loss on d2 only, stopped early on held-out pairs."""
    data, settings, seed = _Data(inputs["corpus"]), stage.config["synthesizer"], stage.config["seed"]
    split = split_pairs(load_pairs(inputs["pairs"]).kept, seed_for(seed, "split pairs"), settings["heldout_share"])
    tuning, heldout = (PairSequences(data.real, pairs, data.tokenizer) for pairs in split)
    context = settings["context"] or int(max(tuning.lengths.max(), heldout.lengths.max()))
    arm_context, arm_rows, arm_steps = _budget(stage.config, data, 1.0)
    rows = max(1, round((settings["batch_tokens"] or 2 * arm_rows * arm_context) / context))
    steps = max(1, round(settings["share"] * arm_steps))
    config = _training_config(
        stage.config,
        context,
        rows,
        steps,
        seed_for(seed, "tune"),
        rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        evaluate_every=max(1, round(steps / settings["evaluations"])),
        patience=settings["patience"],
    )
    model = load_model(inputs["base"] / BEST, data.tokenizer.fingerprint)
    mixture = Mixture([(Packed(tuning, context, seed_for(seed, "pack pairs")), 1.0)], seed_for(seed, "order of pairs"))
    return _train(stage, data, mixture, config, model, out, device, Packed(heldout, context, 0))


def _per_document(stage: Stage, data: _Data) -> int:
    """Documents to sample for each d1: as set, or as many as the arm's budget sees once."""
    settings = stage.config
    if settings["synthesis"]["per_document"]:
        return settings["synthesis"]["per_document"]
    context, rows, steps = _budget(settings, data, 1.0)
    rows_per_pass = len(data.packed(data.real, context, 0))
    return max(1, math.ceil(settings["share"] * steps * rows / rows_per_pass))


def synthesize(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Sample d2 for every d1 of D, drop what the post-filter rejects, keep the reasons."""
    data, settings, seed = _Data(inputs["corpus"]), stage.config["synthesis"], stage.config["seed"]
    tokenizer = data.tokenizer
    model = load_model(inputs["synthesizer"] / BEST, tokenizer.fingerprint)
    seed_documents = np.tile(np.arange(len(data.real)), _per_document(stage, data))
    prompts = [np.concatenate(([tokenizer.bos], data.real.document(i), [tokenizer.sep])) for i in seed_documents]
    lengths = data.real.lengths
    fixed = int(lengths.min()) == int(lengths.max())
    config = SamplingConfig(
        temperature=settings["temperature"],
        top_p=settings["top_p"],
        min_tokens=int(lengths.min()) if fixed else 1,
        max_tokens=settings["max_tokens"] or int(lengths.max()),
        batch_size=settings["batch_size"],
    )
    samples = sample(model, prompts, config, tokenizer, generator(seed, "sample"), stage.name, device)
    kept, reasons = post_filter(
        samples,
        [data.real.document(i) for i in seed_documents],
        settings["repeated_shingle"],
        settings["copied_shingle"],
    )
    _write_synthetic(out, tokenizer, samples.tokens, seed_documents, kept, reasons)
    return [
        Entry(stage.name, "prefill", samples.prefill_tokens, samples.prefill_flops),
        Entry(stage.name, "decoding", samples.decoded_tokens, samples.decoding_flops),
    ]


def synthesize_by_plugin(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """A synthetic corpus by a registered synthesizer, such as exact Bayes in a world: from token arrays to token
    arrays, or where the corpus has text from texts to texts."""
    data, seed = _Data(inputs["corpus"]), stage.config["seed"]
    synthesis = plugins.load("sbp_bayes.synthesizers", stage.config["plugin"])
    seed_documents = np.tile(np.arange(len(data.real)), _per_document(stage, data))
    has_text = data.real.has_text
    real = data.real.column("text").to_pylist() if has_text else [data.real.document(i) for i in range(len(data.real))]
    documents = synthesis(
        read_json(inputs["corpus"] / "source.json"),
        [real[i] for i in seed_documents],
        generator(seed, "sample by plugin"),
    )
    if has_text:
        documents = data.tokenizer.encode(documents)
    _write_synthetic(
        out, data.tokenizer, documents, seed_documents, np.ones(len(documents), bool), [""] * len(documents)
    )
    return []


def _write_synthetic(out: Path, tokenizer: Tokenizer, documents, seed_documents, kept, reasons) -> None:
    """The kept documents as a corpus in ``out``; the rejected ones with their reasons in ``rejected.parquet``."""
    if not kept.any():
        raise UserError(f"synthesis: the post-filter rejected all {len(kept)} documents (first reason: {reasons[0]})")

    def table(rows: np.ndarray) -> pa.Table:
        columns = {
            "doc_id": pa.array([f"synthetic-{i}" for i in rows]),
            "tokens": pa.array([np.asarray(documents[i], np.int32) for i in rows], pa.list_(pa.int32())),
            "seed_doc": pa.array(seed_documents[rows], pa.int64()),
        }
        if tokenizer.kind != "symbols":
            columns["text"] = pa.array([tokenizer.decode(documents[i]) for i in rows])
        return pa.table(columns)

    rejected = np.flatnonzero(~kept)
    write_corpus(out / "corpus", [table(np.flatnonzero(kept))], tokenizer, None)
    reasons_column = pa.array([reasons[i] for i in rejected], pa.string())
    pq.write_table(table(rejected).append_column("reason", reasons_column), out / "rejected.parquet")


def evaluate(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Every registered evaluator on this seed's artefacts; their result rows and examples are joined."""
    roles: dict[str, dict[str, Path]] = {"model": {}, "pairs": {}, "synthetic": {}}
    for name, folder in inputs.items():
        role, _, rest = name.partition(" ")
        if role in roles:
            roles[role][rest] = folder
    corpus = inputs["corpus"]
    results, examples = [], []
    for name in plugins.names("sbp_bayes.evaluators"):
        context = SeedContext(
            seed=stage.config["seed"],
            config=experiment_from({**stage.config["experiment"], "name": "run", "seeds": [stage.config["seed"]]}),
            source=read_json(corpus / "source.json"),
            out=out / name,
            corpus={split: corpus / split for split in SPLITS},
            tokenizer=corpus / "tokenizer",
            models=roles["model"],
            pairs=roles["pairs"],
            synthetic={name: folder / "corpus" for name, folder in roles["synthetic"].items()},
        )
        context.out.mkdir(exist_ok=True)
        plugins.load("sbp_bayes.evaluators", name)(context)
        results += read_results(context.out)
        if (context.out / "examples.json").exists():
            examples += read_json(context.out / "examples.json")
    write_results(out, results)
    write_json(out / "examples.json", examples)
    return []


KINDS: dict[str, Kind] = {
    "corpus": Kind(build_corpus),
    "base": Kind(train_base, resumable=True),
    "pairs": Kind(build_pairs),
    "synthesizer": Kind(tune_synthesizer, resumable=True),
    "synthesis": Kind(synthesize),
    "plugin-synthesis": Kind(synthesize_by_plugin),
    "arm": Kind(train_arm, resumable=True),
    "evaluation": Kind(evaluate),
}
