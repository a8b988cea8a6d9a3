"""A synthetic corpus from an exported synthesizer and a corpus on disk, by any of the engines."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import exclusive, read_json, write_json
from sbp_bayes.model.hugging_face import CONFIG, import_model
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator
from sbp_bayes.synthesis.endpoint import PROBE_TOLERANCE, Endpoint, agreeing_model, distance, sample_by_endpoint
from sbp_bayes.synthesis.filters import post_filter
from sbp_bayes.synthesis.finished_prompts import FinishedPrompts, weights_digest
from sbp_bayes.synthesis.inference_runner import sample_by_datatrove
from sbp_bayes.synthesis.prompt import prompt_of
from sbp_bayes.synthesis.sampler import Samples, SamplingConfig, collect, sample
from sbp_bayes.synthesis.synthetic_corpus import write_synthetic

if TYPE_CHECKING:
    from sbp_bayes.synthesis.commands import SynthesizeArguments

RECORD, WORK = "synthesis.json", "work"
PART = 4096  # documents that are finished together by the own sampler
LEAST = {"per_document": 1, "documents": 0, "max_tokens": 0, "concurrency": 1, "tasks": 1, "workers": 1}
CHECKED = 8  # of datatrove's documents, against the synthesizer


def synthesize_corpus(arguments: "SynthesizeArguments", device: str) -> dict:
    """Do what `sbp synthesize` was asked; returns what it writes to ``OUT``/`RECORD`.

    Raises UserError for a folder that is no model or corpus, or of another tokenizer, and as the engines do.
    """
    for name, least in LEAST.items():
        if getattr(arguments, name) < least:
            option = name.replace("_", "-")
            raise UserError(f"--{option} {getattr(arguments, name)}: expected at least {least}")
    model, tokenizer = import_model(arguments.model)
    corpus = Corpus.open(arguments.corpus, tokenizer)
    used = min(arguments.documents or len(corpus), len(corpus))
    real = [corpus.document(i) for i in range(used)]
    prompts = [prompt_of([document], tokenizer) for document in real]
    law = {"temperature": arguments.temperature, "top_p": arguments.top_p, "batch_size": arguments.batch_size}
    config = SamplingConfig.like(corpus.lengths, arguments.max_tokens, **law)
    copies, out = arguments.per_document, arguments.out
    with exclusive(out / ".lock", f"{out}", wait=False):
        start = time.monotonic()
        if arguments.engine == "own":
            model.to(device)
            samples = _by_own_sampler(model, prompts, copies, config, tokenizer, arguments.seed, out)
        elif arguments.engine == "endpoint":
            endpoint = Endpoint(arguments.endpoint, arguments.served_model, arguments.concurrency)
            samples = sample_by_endpoint(
                model, prompts, copies, config, tokenizer, arguments.seed, endpoint, out / WORK
            )
        else:
            samples = _by_datatrove(model, prompts, config, tokenizer, arguments)
        seconds = time.monotonic() - start
        seeds = np.tile(np.arange(used), copies)
        rules = (arguments.repeated_shingle, arguments.copied_shingle, config.min_tokens)
        found = post_filter(samples, real * copies, *rules)
        write_synthetic(out, tokenizer, samples.tokens, seeds, found.kept, found.reasons)
        record = {
            "model": read_json(arguments.model / CONFIG).get("sbp_bayes", {}),
            "weights": weights_digest(model),
            "corpus": corpus.fingerprint,
            "settings": vars(arguments),
            "documents": found.counts,
            "prefill_tokens": samples.prefill_tokens,
            "decoded_tokens": samples.decoded_tokens,
            "flops": samples.prefill_flops + samples.decoding_flops,
            "seconds": round(seconds, 3),
        }
        write_json(out / RECORD, record)
    return record


def _by_own_sampler(
    model: Transformer,
    prompts: Sequence[np.ndarray],
    copies: int,
    config: SamplingConfig,
    tokenizer: Tokenizer,
    seed: int,
    out: Path,
) -> Samples:
    """Parts of documents by the own sampler, each kept on disk once it is written."""
    # A server's documents have keys of other meaning: a folder begun by one engine is not gone on with by another.
    identity = ["own", seed, copies, config.law, weights_digest(model), [prompt.tolist() for prompt in prompts]]
    rows = [(i, copy) for copy in range(copies) for i in range(len(prompts))]
    with FinishedPrompts(out / WORK, identity) as finished:
        for first in range(0, len(rows), PART):
            part = rows[first : first + PART]
            if part[-1] in finished.documents:
                continue
            name = f"documents {first + 1} to {first + len(part)} of {len(rows)}"
            samples = sample(
                model, [prompts[i] for i, _ in part], config, tokenizer, generator(seed, "sample", first), name
            )
            for row, document in zip(part, samples.documents, strict=True):
                finished.add(row, [document])
        documents = [finished.documents[row][0] for row in rows]
    return collect(model, np.tile([len(prompt) for prompt in prompts], copies), documents)


def _by_datatrove(
    model: Transformer,
    prompts: Sequence[np.ndarray],
    config: SamplingConfig,
    tokenizer: Tokenizer,
    arguments: "SynthesizeArguments",
) -> Samples:
    name = arguments.served_model
    if arguments.server == "endpoint":
        name = agreeing_model(Endpoint(arguments.endpoint).client(), name, model, prompts[0], config, tokenizer)
    copies = arguments.per_document
    documents = sample_by_datatrove(
        arguments.model.absolute(),
        prompts,
        copies,
        config,
        tokenizer,
        arguments.seed,
        arguments.out.absolute() / WORK,
        arguments.server,
        arguments.endpoint,
        name,
        arguments.tasks,
        arguments.workers,
        arguments.concurrency,
        read_json(arguments.model / CONFIG)["max_position_embeddings"],
    )
    nats = distance(model, prompts[:CHECKED], documents[: len(prompts[:CHECKED])])
    if nats > PROBE_TOLERANCE:
        raise UserError(f"--server {arguments.server}: its log-probabilities differ by {nats:.2g} nats a token")
    return collect(model, np.tile([len(prompt) for prompt in prompts], copies), documents)
