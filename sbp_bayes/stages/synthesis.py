"""The stages that write a synthetic corpus, by a tuned synthesizer or by a plugin."""

import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np

from sbp_bayes import plugins
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.files import read_json
from sbp_bayes.graph import Stage
from sbp_bayes.ledger import Entry
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.seeds import generator, numpy_generator, seed_for
from sbp_bayes.stages.data import SeedData, budget_of
from sbp_bayes.stages.served_synthesis import MODEL, sample_by_server
from sbp_bayes.synthesis.filters import post_filter
from sbp_bayes.synthesis.prompt import prompt_of
from sbp_bayes.synthesis.sampler import Samples, SamplingConfig, sample
from sbp_bayes.synthesis.synthetic_corpus import write_synthetic
from sbp_bayes.training.checkpoint import BEST, load_model


def _per_document(stage: Stage, data: SeedData) -> int:
    """Documents to sample for each d1: as set, or as many as the arm's budget sees once."""
    settings = stage.config
    if settings["synthesis"]["per_document"]:
        return settings["synthesis"]["per_document"]
    budget = budget_of(settings, data)
    rows_per_pass = len(data.packed(data.real, budget.context, 0))
    return max(1, math.ceil(settings["share"] * budget.steps * budget.rows / rows_per_pass))


def synthesize(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Sample d2 for every d1 of D, drop what the post-filter rejects, keep the reasons."""
    for half_written in out.glob(".*"):
        shutil.rmtree(half_written)
    data, seed = SeedData(inputs["corpus"]), stage.config["seed"]
    tokenizer = data.tokenizer
    model = load_model(inputs["synthesizer"] / BEST, tokenizer.fingerprint)
    copies = _per_document(stage, data)
    given = [[document] for document in range(len(data.real))]
    if "pairs" in inputs:
        pairs, partners = load_pairs(inputs["pairs"]).kept, stage.config["given"] - 1
        given, copies = _with_partners(pairs, len(data.real), copies, partners, seed_for(seed, "partners")), 1
    seed_documents = np.tile([group[0] for group in given], copies)
    real = [data.real.document(i) for i in range(len(data.real))]
    prompts = [prompt_of([real[i] for i in group], tokenizer) for group in given]
    config = _sampling(stage, data.real.lengths)
    if stage.config["synthesis"]["engine"] == "endpoint":
        law = (copies, config, tokenizer, seed_for(seed, "sample"))
        samples = sample_by_server(model, prompts, *law, stage.config["synthesis"], out, stage.name)
    else:
        samples = sample(model, prompts * copies, config, tokenizer, generator(seed, "sample"), stage.name, device)
    entries = _keep(
        stage, samples, [real[i] for i in seed_documents], seed_documents, out, tokenizer, config.min_tokens
    )
    shutil.rmtree(out / MODEL, ignore_errors=True)
    return entries


def _with_partners(pairs: np.ndarray, documents: int, copies: int, most: int, seed: int) -> list[list[int]]:
    """Each document with up to ``most`` of its partners in pairs (M, 2), others for each of the copies."""
    random = numpy_generator("partners", seed)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    partners = np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, documents)))
    return [[i, *random.permutation(partners[i])[:most]] for _ in range(copies) for i in range(documents)]


def synthesize_from_base(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """The base model, which has seen no pairs, goes on from the first part of every d1 of D; of a part of nothing it
    writes a document of its own. A synthetic document is the part and what follows it.

    The part is a share of d1's tokens, rounded down. The post-filter's rule on copying looks at the rest of d1 alone.
    """
    data, seed = SeedData(inputs["corpus"]), stage.config["seed"]
    tokenizer = data.tokenizer
    model = load_model(inputs["base"] / BEST, tokenizer.fingerprint)
    seed_documents = np.tile(np.arange(len(data.real)), _per_document(stage, data))
    d1 = [data.real.document(i) for i in seed_documents]
    parts = [document[: int(stage.config["prefix"] * len(document))] for document in d1]
    prompts = [np.concatenate(([tokenizer.bos], part)) for part in parts]
    whole = _sampling(stage, data.real.lengths)
    fixed = whole.min_tokens == whole.max_tokens
    left = whole.max_tokens - min(map(len, parts))
    config = dataclasses.replace(whole, min_tokens=left if fixed else 0, max_tokens=left)
    samples = sample(model, prompts, config, tokenizer, generator(seed, "sample from base"), stage.name, device)
    documents = [np.concatenate(both) for both in zip(parts, samples.tokens, strict=True)]
    # What went on for longer than a document may be is as unfinished as what was cut there.
    finished = samples.finished & np.array([len(document) <= whole.max_tokens for document in documents])
    samples = dataclasses.replace(samples, tokens=documents, finished=finished)
    rest = [document[len(part) :] for document, part in zip(d1, parts, strict=True)]
    return _keep(stage, samples, rest, seed_documents, out, tokenizer)


def _sampling(stage: Stage, lengths: np.ndarray) -> SamplingConfig:
    """How documents are drawn that are to be like those of D, whose lengths are (N,)."""
    settings = stage.config["synthesis"]
    names = ("max_tokens", "temperature", "top_p", "batch_size")
    return SamplingConfig.like(lengths, **{name: settings[name] for name in names})


def _keep(
    stage: Stage, samples: Samples, given, seed_documents, out: Path, tokenizer: Tokenizer, min_tokens: int = 1
) -> list[Entry]:
    """Write what the post-filter keeps and what it rejects; ``given``: what each document must not copy from."""
    settings = stage.config["synthesis"]
    kept, reasons = post_filter(samples, given, settings["repeated_shingle"], settings["copied_shingle"], min_tokens)
    write_synthetic(out, tokenizer, samples.tokens, seed_documents, kept, reasons)
    return [
        Entry(stage.name, "prefill", samples.prefill_tokens, samples.prefill_flops),
        Entry(stage.name, "decoding", samples.decoded_tokens, samples.decoding_flops),
    ]


def synthesize_by_plugin(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """A synthetic corpus by a registered synthesizer, such as exact Bayes in a world: from token arrays to token
    arrays, or where the corpus has text from texts to texts."""
    data, seed = SeedData(inputs["corpus"]), stage.config["seed"]
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
    write_synthetic(
        out, data.tokenizer, documents, seed_documents, np.ones(len(documents), bool), [""] * len(documents)
    )
    return []
