"""Synthesis by a server that speaks OpenAI's completions API (vLLM, `sbp serve`, ...) from an exported synthesizer."""

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import Progress
from sbp_bayes.seeds import seed_for
from sbp_bayes.synthesis.completions import completion_request, read_choice
from sbp_bayes.synthesis.finished_prompts import FinishedPrompts, weights_digest
from sbp_bayes.synthesis.http_json import HttpJson
from sbp_bayes.synthesis.sampler import Samples, SamplingConfig, Written, collect
from sbp_bayes.synthesis.scoring import score

KEY_VARIABLE = "SBP_ENDPOINT_KEY"  # the environment variable of the key that a server may ask for
MOST_COPIES = 32  # documents of a request
PROBES = 4  # documents whose log-probabilities tell one model from another
PROBE_TOLERANCE = 0.05  # nats a token: more than bfloat16 does to log-probabilities, less than any training


@dataclass(frozen=True)
class Endpoint:
    """url: up to and without ``/v1``; model: the name it is served under, "" for the one that agrees with the
    synthesizer; concurrency: requests under way at a time."""

    url: str
    model: str = ""
    concurrency: int = 64

    def client(self) -> HttpJson:
        """The server, with the key of the environment variable `KEY_VARIABLE` where it is set."""
        return HttpJson(self.url, os.environ.get(KEY_VARIABLE, ""))


@dataclass(frozen=True)
class Request:
    """``copies`` documents after prompt ``prompt``, of which ``first`` precede."""

    prompt: int
    first: int
    copies: int

    def seed(self, seed: int) -> int:
        """A seed of its own, of the 53 bits that every reader of JSON keeps."""
        return seed_for(seed, "endpoint", self.prompt, self.first) >> 10


def requests_for(prompts: int, copies: int) -> list[Request]:
    """The requests for so many copies of so many prompts."""
    firsts = range(0, copies, MOST_COPIES)
    return [Request(i, first, min(MOST_COPIES, copies - first)) for first in firsts for i in range(prompts)]


def in_order(documents: Mapping[tuple[int, int], list[Written]], prompts: int, copies: int) -> list[Written]:
    """The documents of requests, by (prompt, first), in the order (copy, prompt)."""
    places = [(i, *divmod(copy, MOST_COPIES)) for copy in range(copies) for i in range(prompts)]
    return [documents[i, part * MOST_COPIES][k] for i, part, k in places]


def sample_by_endpoint(
    model: Transformer,
    prompts: Sequence[np.ndarray],
    copies: int,
    config: SamplingConfig,
    tokenizer: Tokenizer,
    seed: int,
    endpoint: Endpoint,
    folder: Path,
    name: str = "sample",
) -> Samples:
    """What `sbp_bayes.synthesis.sampler.sample` gives for the N prompts ``copies`` times over, written by a server.

    prompts: token ids with their specials; documents come in the order (copy, prompt). model: the synthesizer, which
    the server must agree with. folder: keeps what is finished, so that a call that was killed goes on where it was.
    Raises UserError for a server that doesn't answer, or serves another model, or refuses what it is asked.
    """
    requests = requests_for(len(prompts), copies)
    identity = [seed, copies, config.law, weights_digest(model), [prompt.tolist() for prompt in prompts]]
    with FinishedPrompts(folder, identity) as finished, Progress(name, len(prompts) * copies, "documents") as progress:
        progress.advance(sum(map(len, finished.documents.values())))
        missing = [request for request in requests if (request.prompt, request.first) not in finished.documents]
        if missing:
            client = endpoint.client()
            served = agreeing_model(client, endpoint.model, model, prompts[missing[0].prompt], config, tokenizer)

            def ask(request: Request) -> list[Written]:
                body = completion_request(
                    prompts[request.prompt], config, tokenizer, request.copies, request.seed(seed)
                )
                return _documents(client, {"model": served, **body}, config, tokenizer)

            for request, documents in _in_parallel(missing, ask, endpoint.concurrency, client.stopped):
                finished.add((request.prompt, request.first), documents)
                progress.advance(len(documents))
        documents = in_order(finished.documents, len(prompts), copies)
    return collect(model, np.tile([len(prompt) for prompt in prompts], copies), documents)


def agreeing_model(
    client: HttpJson,
    name: str,
    model: Transformer,
    prompt: np.ndarray,
    config: SamplingConfig,
    tokenizer: Tokenizer,
) -> str:
    """The name of the served model that gives its own documents the log-probabilities that ``model`` gives them.

    name: the only one to try; "": all that the server lists. Raises UserError where none agrees.
    """
    listed = [entry["id"] for entry in client.get("/v1/models").get("data", [])]
    if name and name not in listed:
        raise UserError(f"{client.url}: serves no model {name!r} (there are: {', '.join(listed) or 'none'})")
    law = SamplingConfig(min_tokens=config.min_tokens, max_tokens=config.max_tokens)
    body = completion_request(prompt, law, tokenizer, PROBES, 0)
    distances = {}
    for candidate in [name] if name else listed:
        written = _documents(client, {"model": candidate, **body}, law, tokenizer)
        distances[candidate] = distance(model, [prompt] * PROBES, written)
        if distances[candidate] <= PROBE_TOLERANCE:
            return candidate
    found = ", ".join(f"{served} by {nats:.2g}" for served, nats in distances.items()) or "no model"
    raise UserError(
        f"{client.url}: doesn't serve this synthesizer: its log-probabilities differ in nats a token ({found}), "
        f"expected at most {PROBE_TOLERANCE}"
    )


def distance(model: Transformer, prompts: Sequence[np.ndarray], written: Sequence[Written]) -> float:
    """Mean distance of the log-probabilities that documents came with from those under ``model``, in nats a token;
    their ends are left out. Infinite where no document has a token.
    """
    whole = [np.concatenate((prompt, document.tokens)) for prompt, document in zip(prompts, written, strict=True)]
    distances = []
    for prompt, document, expected in zip(prompts, written, score(model, whole), strict=True):
        distances.append(np.abs(document.log_probs[: len(document.tokens)] - expected[len(prompt) - 1 :]))
    together = np.concatenate(distances)
    return float(together.mean()) if len(together) else math.inf


def _documents(client: HttpJson, body: dict, config: SamplingConfig, tokenizer: Tokenizer) -> list[Written]:
    choices = client.post("/v1/completions", body).get("choices", [])
    if len(choices) != body["n"]:
        raise UserError(f"{client.url}: gave {len(choices)} documents, expected n = {body['n']}")
    try:
        return [read_choice(choice, config, tokenizer) for choice in sorted(choices, key=lambda one: one["index"])]
    except UserError as error:
        raise UserError(f"{client.url}: {error}") from error


def _in_parallel(
    requests: list[Request], ask: Callable[[Request], list[Written]], concurrency: int, stopped: threading.Event
) -> Iterator[tuple[Request, list[Written]]]:
    """Requests and their documents as they come, ``concurrency`` under way. The first error is raised at the end of
    those that are under way then, whose documents are not lost.
    """
    waiting = iter(requests)
    failed: list[UserError] = []
    with ThreadPoolExecutor(concurrency) as pool:
        running: dict[Future, Request] = {pool.submit(ask, one): one for one in islice(waiting, concurrency)}
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    request = running.pop(future)
                    try:
                        yield request, future.result()
                    except UserError as error:
                        failed.append(error)
                        stopped.set()  # ends the waits between attempts
                    if not failed:
                        running |= {pool.submit(ask, one): one for one in islice(waiting, 1)}
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
    if failed:
        raise failed[0]
