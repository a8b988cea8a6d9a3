"""An exported model behind OpenAI's completions API, by the project's own sampler: what vLLM does, where there is none.

GET /v1/models, GET /health and POST /v1/completions with prompts as text or token ids, n, max_tokens, min_tokens,
temperature, top_p, seed, stop, logprobs, echo and return_token_ids. Requests that wait together are written together;
a request with a seed has the same answer (to rounding) whatever else is asked meanwhile.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer as Rules

from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json
from sbp_bayes.model.hugging_face import CONFIG, RULES, import_model
from sbp_bayes.seeds import generator
from sbp_bayes.synthesis.completion_batches import Batches, Job
from sbp_bayes.synthesis.completion_options import Options, read_options
from sbp_bayes.synthesis.sampler import Written
from sbp_bayes.synthesis.scoring import score

LARGEST_BODY = 64 * 2**20  # bytes


class CompletionServer(ThreadingHTTPServer):
    """Serves the Hugging Face folder ``folder`` under ``name``; ``serve_forever`` runs until ``shutdown``.

    port: 0 takes a free one, ``url`` tells which; batch_size: documents written at a time; seed: of the requests that
    bring none, answered in the order of their coming.
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
        device: str = "cpu",
        batch_size: int = 256,
        seed: int = 0,
    ):
        self.model, self.tokenizer = import_model(folder)
        self.model.eval().to(device)
        self.context: int = read_json(folder / CONFIG)["max_position_embeddings"]
        self.rules = Rules.from_file(str(folder / RULES))
        self.name = name or str(folder)
        self.unseeded, self.count, self.lock = generator("completions", seed), 0, threading.Lock()
        self.batches = Batches(self.model, self.tokenizer, batch_size)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(f"{host}:{port}: can't listen there ({getattr(error, 'strerror', error)})") from error

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_address[1]}"

    def prompts(self, given: object) -> list[np.ndarray]:
        """Token ids of what a request calls its prompt: a text, token ids, or a list of either. Text is encoded as the
        exported tokenizer does it: bos first, the names of specials read as specials.
        """
        several = isinstance(given, list) and given and not isinstance(given[0], int)
        return [self._prompt(one) for one in (given if several else [given])]

    def _prompt(self, given: object) -> np.ndarray:
        if isinstance(given, str):
            given = self.rules.encode(given).ids
        if not isinstance(given, list) or not given or not all(type(token) is int for token in given):
            raise UserError("prompt: expected a text, a list of token ids, or a list of either, and none empty")
        if not all(0 <= token < self.tokenizer.vocabulary_size for token in given):
            raise UserError(f"prompt: expected token ids 0..{self.tokenizer.vocabulary_size - 1}")
        return np.array(given, dtype=np.int64)

    def complete(self, body: dict) -> dict:
        """The answer to one request. Raises UserError for what it can't be answered with."""
        options = read_options(body, self.tokenizer)
        prompts = self.prompts(body.get("prompt"))
        longest = max(map(len, prompts)) + options.max_tokens
        if longest > self.context:
            raise UserError(f"prompt and max_tokens: {longest} tokens, the model's context has {self.context}")
        repeated = [prompt for prompt in prompts for _ in range(options.n)]
        if options.max_tokens:
            written = self.batches.write(Job(repeated, options.sampling, self._uniforms(options, len(repeated))))
        else:
            written = [Written(np.empty(0, dtype=np.int64), np.empty(0), False)] * len(repeated)
        scored = score(self.model, prompts) if options.echo and options.logprobs else [np.empty(0)] * len(prompts)
        choices = []
        for i, (prompt, document) in enumerate(zip(repeated, written, strict=True)):
            choices.append(self._choice(i, prompt, scored[i // options.n], document, options))
        read, drawn = sum(map(len, prompts)), sum(len(document.log_probs) for document in written)
        with self.lock:
            self.count += 1
            number = self.count
        return {
            "id": f"cmpl-{number}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": choices,
            "usage": {"prompt_tokens": read, "completion_tokens": drawn, "total_tokens": read + drawn},
        }

    def _uniforms(self, options: Options, rows: int) -> torch.Tensor:
        shape = (rows, options.max_tokens + 1)
        if options.seed is not None:
            return torch.rand(shape, generator=generator("completion", options.seed), dtype=torch.float64)
        with self.lock:
            return torch.rand(shape, generator=self.unseeded, dtype=torch.float64)

    def _choice(self, i: int, prompt: np.ndarray, scored: np.ndarray, document: Written, options: Options) -> dict:
        tokens, log_probs = document.tokens.tolist(), document.log_probs.tolist()
        # An end that comes as the token after the last allowed one is past what was asked for.
        ended = document.finished and len(tokens) < options.max_tokens
        tokens = [*tokens, self.tokenizer.eos] if ended else tokens
        text, kept = options.cut(tokens, self.tokenizer.decode)
        finish = "stop" if ended or kept < len(tokens) else "length"
        tokens, log_probs = tokens[:kept], log_probs[:kept]
        choice: dict = {"index": i, "text": text, "finish_reason": finish, "logprobs": None}
        if options.return_token_ids:
            choice |= {"token_ids": tokens, "prompt_token_ids": prompt.tolist()}
        if options.echo:
            choice["text"] = self.tokenizer.decode(prompt) + text
            tokens, log_probs = [*prompt.tolist(), *tokens], [None, *scored.tolist(), *log_probs]
        if options.logprobs:
            named = [f"token_id:{token}" if options.ids else self.tokenizer.decode([token]) for token in tokens]
            choice["logprobs"] = {"tokens": named, "token_logprobs": log_probs}
        return choice

    def models(self) -> dict:
        entry = {"id": self.name, "object": "model", "owned_by": "sbp_bayes", "max_model_len": self.context}
        return {"object": "list", "data": [entry]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CompletionServer

    def do_GET(self) -> None:
        answers = {"/v1/models": self.server.models, "/health": dict}
        if self.path in answers:
            self._answer(200, answers[self.path]())
        else:
            self._refuse(404, f"{self.path}: not served; there are /v1/models, /v1/completions and /health")

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > LARGEST_BODY:
            self.close_connection = True
            return self._refuse(413, f"the request has {size} bytes, expected at most {LARGEST_BODY}")
        content = self.rfile.read(size)
        if self.path != "/v1/completions":
            return self._refuse(404, f"{self.path}: not served; requests go to /v1/completions")
        try:
            body = json.loads(content)
            if not isinstance(body, dict):
                raise UserError("expected a JSON object")
            if body.get("model", self.server.name) != self.server.name:
                return self._refuse(404, f"model {body['model']!r} is not served, but {self.server.name!r} is")
            self._answer(200, self.server.complete(body))
        except (UserError, ValueError) as error:
            self._refuse(400, str(error))

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"error": {"message": message, "type": "invalid_request_error", "code": status}})

    def _answer(self, status: int, value: dict) -> None:
        content = json.dumps(value, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Nothing a request; what goes wrong is in the answer."""
