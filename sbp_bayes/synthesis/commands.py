"""`sbp serve` and `sbp synthesize`: an exported synthesizer behind HTTP, and a synthetic corpus written by one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class ServeArguments:
    """Serve an exported model by OpenAI's completions API, with this project's own sampler.

    GET /v1/models, GET /health, POST /v1/completions. For machines without vLLM; see docs/synthesis.md.
    """

    model: tyro.conf.Positional[Path]
    """The Hugging Face folder that sbp export wrote."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0: all of the machine's, for a network that you trust."""
    port: int = 8000
    """Port; 0: a free one."""
    name: str = ""
    """The name it is served under; by default the folder's."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    batch_size: int = 256
    """Documents written at a time."""
    seed: int = 0
    """Of the requests that bring no seed."""


@dataclass(frozen=True)
class SynthesizeArguments:
    """Write a synthetic corpus with an exported synthesizer: documents after every document of a corpus.

    OUT gets corpus/ (what the post-filter keeps), rejected.parquet (the rest, with reasons) and synthesis.json. A
    synthesis that was killed goes on when the same command is given. See docs/synthesis.md.
    """

    model: tyro.conf.Positional[Path]
    """The synthesizer's Hugging Face folder: sbp export RUN --model synthesizer --out DIR."""
    corpus: tyro.conf.Positional[Path]
    """The corpus D, made with the synthesizer's tokenizer: a folder with corpus.json."""
    out: Path
    """Folder to write."""
    engine: Literal["own", "endpoint", "datatrove"] = "own"
    """own: this project's sampler; endpoint: a server that runs; datatrove: its InferenceRunner (extra cluster)."""
    per_document: int = 1
    """Documents for each document of D."""
    documents: int = 0
    """Only the first so many documents of D; 0: all."""
    temperature: float = 1.0
    """Of the sampling; only 1 keeps the synthesizer's law."""
    top_p: float = 1.0
    """Nucleus; 1: off. The paper's: 0.9."""
    max_tokens: int = 0
    """Longest document; 0: the longest of D."""
    repeated_shingle: int = 13
    """Drop documents that repeat a run of so many tokens; 0: keep them."""
    copied_shingle: int = 0
    """Drop documents that share a run of so many tokens with theirs of D; 0: keep them."""
    seed: int = 0
    """Equal seeds give equal corpora, as far as the engine is deterministic."""
    batch_size: int = 512
    """Engine own: documents written at a time."""
    device: str = "auto"
    """Engine own: cpu, cuda, or auto."""
    endpoint: str = "http://localhost:8000"
    """Engine endpoint, and --server endpoint: the server's address."""
    served_model: str = ""
    """The model's name there; by default the one whose log-probabilities agree."""
    concurrency: int = 64
    """Engines endpoint and datatrove: requests under way at a time (of a task)."""
    server: Literal["vllm", "sbp", "endpoint"] = "vllm"
    """Engine datatrove: what each task starts, or endpoint."""
    tasks: int = 1
    """Engine datatrove: shares of the work, each with a server."""
    workers: int = 1
    """Engine datatrove: tasks at a time."""


def serve(arguments: list[str]) -> int:
    """Serve an exported model by OpenAI's completions API."""
    parsed = tyro.cli(ServeArguments, prog="sbp serve", args=arguments)
    from sbp_bayes.run import device_named
    from sbp_bayes.synthesis.server import CompletionServer

    server = CompletionServer(
        parsed.model,
        parsed.host,
        parsed.port,
        parsed.name,
        device_named(parsed.device),
        parsed.batch_size,
        parsed.seed,
    )
    print(f"{parsed.model}: served at {server.url}/v1 as {server.name}; Ctrl-C stops it", flush=True)
    server.serve_forever()
    return 0


def synthesize(arguments: list[str]) -> int:
    """Write a synthetic corpus with an exported synthesizer."""
    parsed = tyro.cli(SynthesizeArguments, prog="sbp synthesize", args=arguments)
    from sbp_bayes.run import device_named
    from sbp_bayes.synthesis.from_export import synthesize_corpus

    record = synthesize_corpus(parsed, device_named(parsed.device))
    rejected = ", ".join(f"{count} {reason}" for reason, count in record["documents"].items() if reason != "kept")
    print(f"{parsed.out / 'corpus'}: {record['documents']['kept']} documents; rejected: {rejected}")
    return 0
