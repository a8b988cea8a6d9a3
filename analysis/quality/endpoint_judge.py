"""The judge ``endpoint``: a language model behind an OpenAI-compatible server, its answers kept on disk."""

import os
import re
import sqlite3
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from sbp_bayes.documents.fetch import cache_folder
from sbp_bayes.documents.sources import check_options, check_types
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash
from sbp_bayes.progress import Progress
from sbp_bayes.synthesis.http_json import HttpJson

OPTIONS = {
    "model": "",
    "url": "http://localhost:8000",
    "key_variable": "",  # environment variable with the server's key, so that no file holds one
    "concurrency": 8,
    "cache": "",
}
PROMPTS = Path(__file__).with_name("judge_prompts.toml")
TABLE = "evaluation.judge"
VERDICT = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


class EndpointJudge:
    """Asks ``/v1/chat/completions`` at temperature 0 and reads the first YES or NO of the answer.

    Options of evaluation.judge: model (as the server calls it), url, key_variable, concurrency (requests at once),
    cache (folder of the answers; by default in the user's cache). An answer is asked for once for each model and
    prompt, also by a run that was killed. UserError: no such option, no model, no answer after a minute of asking.
    """

    def __init__(self, options: Mapping[str, Any]):
        self.options = {**OPTIONS, **options}
        self.prompts = tomllib.loads(PROMPTS.read_text(encoding="utf-8"))
        self.cache = Path(self.options["cache"] or cache_folder() / "judge") / "answers.sqlite"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "EndpointJudge":
        check_options(TABLE, options, OPTIONS)
        check_types(TABLE, options, OPTIONS)
        if not options.get("model"):
            raise UserError(f"{TABLE}.model: expected the name of the server's model")
        if options.get("concurrency", 1) < 1:
            raise UserError(f"{TABLE}.concurrency = {options['concurrency']}: expected at least 1")
        variable = options.get("key_variable")
        if variable and variable not in os.environ:
            raise UserError(f"{TABLE}.key_variable = {variable!r}: no such environment variable")
        return cls(options)

    def not_factual(self, documents: Sequence[str]) -> list[bool | None]:
        """Whether the model finds something false in each document."""
        return self._ask([self.prompts["not_factual"].format(d2=text) for text in documents], "non-factual")

    def irrelevant(self, d1: Sequence[str], d2: Sequence[str]) -> list[bool | None]:
        """Whether the model finds each d2 irrelevant to d1."""
        pairs = zip(d1, d2, strict=True)
        return self._ask([self.prompts["irrelevant"].format(d1=a, d2=b) for a, b in pairs], "pair-irrelevance")

    def _ask(self, prompts: list[str], what: str) -> list[bool | None]:
        self.cache.parent.mkdir(parents=True, exist_ok=True)
        bodies = {content_hash(body): body for body in map(self._body, prompts)}
        with closing(sqlite3.connect(self.cache, timeout=60, isolation_level=None)) as kept:
            kept.execute("CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, answer TEXT NOT NULL)")
            answers = dict(kept.execute("SELECT request, answer FROM answers"))
            missing = [key for key in bodies if key not in answers]
            self._fetch({key: bodies[key] for key in missing}, answers, kept, what)
        return [_verdict(answers[content_hash(self._body(prompt))]) for prompt in prompts]

    def _body(self, prompt: str) -> dict:
        messages = [{"role": "system", "content": self.prompts["system"]}, {"role": "user", "content": prompt.strip()}]
        return {"model": self.options["model"], "messages": messages, "temperature": 0, "max_tokens": 8}

    def _fetch(self, bodies: dict[str, dict], answers: dict[str, str], kept: sqlite3.Connection, what: str) -> None:
        """Ask for what is missing and keep each answer as it comes."""
        server = HttpJson(self.options["url"], os.environ.get(self.options["key_variable"], ""))
        work = f"judge {what}"
        with (
            ThreadPoolExecutor(self.options["concurrency"]) as pool,
            Progress(work, len(bodies), "answers") as progress,
        ):
            try:
                asked = pool.map(lambda body: _content(server, body), bodies.values())
                for key, answer in zip(bodies, asked, strict=True):
                    answers[key] = answer
                    kept.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer))
                    progress.advance(1)
            except BaseException:
                server.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _content(server: HttpJson, body: dict) -> str:
    found = server.post("/v1/chat/completions", body)
    try:
        return found["choices"][0]["message"]["content"] or ""
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{server.url}/v1/chat/completions: the answer has no choices[0].message.content") from error


def _verdict(answer: str) -> bool | None:
    found = VERDICT.search(answer)
    return None if found is None else found[1].lower() == "yes"
