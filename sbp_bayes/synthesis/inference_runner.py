"""Synthesis by datatrove's InferenceRunner (extra cluster): each task starts a server of the exported synthesizer, or
uses one that runs, and writes its share of the documents; a task that was killed goes on where it was."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sbp_bayes.documents.tokenizer import SymbolTokenizer, Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write
from sbp_bayes.synthesis import serve_on_port
from sbp_bayes.synthesis.completions import completion_request, read_choice
from sbp_bayes.synthesis.endpoint import Request, in_order, requests_for
from sbp_bayes.synthesis.sampler import SamplingConfig, Written

SERVERS = ("vllm", "sbp", "endpoint")
PER_CHUNK = 1000  # requests of an output file
KEY = "documents"
NEEDED = ("datatrove", "aiofiles", "aiosqlite", "httpx", "orjson")


def sample_by_datatrove(
    folder: Path,
    prompts: Sequence[np.ndarray],
    copies: int,
    config: SamplingConfig,
    tokenizer: Tokenizer,
    seed: int,
    out: Path,
    server: str,
    endpoint: str = "",
    served_model: str = "",
    tasks: int = 1,
    workers: int = 1,
    concurrency: int = 64,
    context: int = 8192,
) -> list[Written]:
    """``copies`` documents after each prompt, in the order (copy, prompt), from the exported model ``folder``.

    server: "vllm" or "sbp", started by each task, or "endpoint", which runs at ``endpoint`` (http) under the name
    ``served_model``. out: a folder that keeps requests, answers and logs. UserError: the extra or vLLM is missing, a
    task failed, documents are missing.
    """
    if not all(map(find_spec, NEEDED)):
        raise UserError("--engine datatrove: needs the extra cluster: pip install -e '.[cluster]'")
    if server == "vllm" and find_spec("vllm") is None:
        raise UserError("--server vllm: vLLM isn't installed in this environment (docs/synthesis.md); --server sbp is")
    from datatrove.executor import LocalPipelineExecutor

    requests = requests_for(len(prompts), copies)
    for task in range(tasks):
        # One file a task: datatrove divides work by files.
        lines = [_line(request, prompts, seed) for request in requests[task::tasks]]
        atomic_write(out / "requests" / f"{task:05d}.jsonl", lambda path, lines=lines: path.write_text("".join(lines)))
    steps = pipeline(
        out, server, folder, config, tokenizer, endpoint, served_model or str(folder), concurrency, context
    )
    executor = LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(out / "logs"))
    try:
        executor.run()
    except Exception as error:  # of any kind, by the server's death or the executor's
        raise UserError(f"synthesis by datatrove: {str(error)[:300]} (logs in {out / 'logs'})") from error
    return in_order(_read(out, requests, config, tokenizer), len(prompts), copies)


def pipeline(
    out: Path,
    server: str,
    folder: Path,
    config: SamplingConfig,
    tokenizer: Tokenizer,
    endpoint: str = "",
    served_model: str = "",
    concurrency: int = 64,
    context: int = 8192,
) -> list:
    """The steps that answer ``out``/requests into ``out``/answers, for any datatrove executor (Slurm, Ray)."""
    from datatrove.pipeline.inference.run_inference import InferenceConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from sbp_bayes.synthesis.token_runner import TokenRunner

    own = {"server_script": str(Path(serve_on_port.__file__)), "model": str(folder)}
    inference = InferenceConfig(
        server_type={"sbp": "custom"}.get(server, server),
        model_name_or_path=served_model or str(folder),
        model_max_context=context,
        use_chat=False,
        endpoint_url=endpoint or None,
        max_concurrent_generations=concurrency,
        max_concurrent_documents=concurrency,
        model_kwargs=own if server == "sbp" else {},
        server_log_folder=str(out / "logs" / "servers"),
        server_ready_delay_sec=1.0,
    )
    return [
        JsonlReader(str(out / "requests"), glob_pattern="*.jsonl"),
        TokenRunner(
            rollout_fn=write_documents,
            config=inference,
            output_writer=JsonlWriter(
                str(out / "answers"), output_filename="${rank}_${chunk_index}.jsonl", compression=None
            ),
            shared_context={"config": config, "symbols": tokenizer.symbols},
            checkpoints_local_dir=str(out / "checkpoints"),
            records_per_chunk=PER_CHUNK,
            metadata_key=KEY,
        ),
    ]


async def write_documents(document: Any, generate: Any, config: SamplingConfig, symbols: int) -> list[str]:
    """A rollout: the documents of one request, each as a completions server's choice in JSON."""
    tokenizer = SymbolTokenizer(symbols)  # for its special ids, which are any tokenizer's
    prompt, seed = np.array(json.loads(document.text)), document.metadata["seed"]
    bodies = [completion_request(prompt, config, tokenizer, 1, seed + k) for k in range(document.metadata["copies"])]
    results = await asyncio.gather(*(generate(body) for body in bodies))
    return [result.text for result in results]


def _line(request: Request, prompts: Sequence[np.ndarray], seed: int) -> str:
    prompt = json.dumps([int(token) for token in prompts[request.prompt]])
    values = {"id": f"{request.prompt}-{request.first}", "text": prompt, **dataclasses.asdict(request)}
    return json.dumps({**values, "seed": request.seed(seed)}) + "\n"


def _read(
    out: Path, requests: list[Request], config: SamplingConfig, tokenizer: Tokenizer
) -> dict[tuple[int, int], list[Written]]:
    """The documents of every request, by (prompt, first)."""
    documents = {}
    for path in sorted((out / "answers").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            metadata = json.loads(line)["metadata"]
            choices = [json.loads(choice) for choice in metadata[KEY][0]]
            documents[metadata["prompt"], metadata["first"]] = [
                read_choice(choice, config, tokenizer) for choice in choices
            ]
    missing = [request for request in requests if (request.prompt, request.first) not in documents]
    if missing:
        raise UserError(f"{out / 'answers'}: {len(missing)} of {len(requests)} requests have no answer; delete {out}")
    return documents
