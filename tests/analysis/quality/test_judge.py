"""The judge behind an endpoint, against a real server on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from analysis.quality.endpoint_judge import EndpointJudge
from analysis.quality.judge import judge_from, share_of
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import experiment_from


class Handler(BaseHTTPRequestHandler):
    """Finds false what says "flat", irrelevant what shares no word with the first document; "maybe" where asked to."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.asked.append((self.path, body, self.headers.get("Authorization")))
        if len(server.asked) <= server.busy:
            self.send_error(503)
            return
        content = json.dumps({"choices": [{"message": {"content": self.answer(body["messages"][1]["content"])}}]})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content.encode())

    def answer(self, prompt: str) -> str:
        if "First document:" in prompt:
            first, second = (part.split("\n")[1].split() for part in prompt.split("document:")[1:3])
            return "No." if set(first) & set(second) else " **Yes**, they are unrelated"
        return "I can't say" if "perhaps" in prompt else "YES" if "flat" in prompt else "no"

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        found.asked, found.busy = [], 0
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture
def table(server, tmp_path) -> dict:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return {"name": "endpoint", "model": "reader", "url": url, "cache": str(tmp_path / "answers")}


DOCUMENTS = ["the earth is round", "the earth is flat", "perhaps it is round", "the earth is flat"]


def test_answers_are_read_and_asked_for_once(server, table):
    judge = judge_from(table)
    assert judge.not_factual(DOCUMENTS) == [False, True, None, True]
    assert len(server.asked) == 3
    path, body, key = server.asked[0]
    assert path == "/v1/chat/completions" and key is None
    assert (body["model"], body["temperature"]) == ("reader", 0)
    assert judge_from(table).not_factual([*DOCUMENTS, "new"]) == [False, True, None, True, False]
    assert len(server.asked) == 4
    assert judge_from({**table, "model": "another"}).not_factual(DOCUMENTS[:1]) == [False]
    assert len(server.asked) == 5


def test_pair_irrelevance_catches_the_writer_of_other_documents(server, table, material):
    judge = judge_from(table)
    seeds = material.seeds[:40]
    topic = [" ".join(w.split("topic")[0] for w in text.split() if "topic" in w) for text in material.real]
    right, _ = share_of(judge.irrelevant([topic[i] for i in seeds], [topic[i ^ 1] for i in seeds]), seeds)
    other, _ = share_of(judge.irrelevant([topic[i] for i in seeds], [topic[i + 100] for i in seeds]), seeds)
    assert (right.value, other.value) == (0, 1)


def test_shares_leave_out_what_was_not_answered():
    found, unread = share_of([True, None, False, None], np.arange(4))
    assert (found.value, found.n, unread) == (0.5, 2, 0.5)


def test_a_busy_server_is_asked_again(server, table, monkeypatch):
    monkeypatch.setattr("sbp_bayes.synthesis.http_json.FIRST_WAIT_SECONDS", 0.01)
    server.busy = 2
    assert judge_from(table).not_factual(DOCUMENTS[:2]) == [False, True]


def test_a_key_comes_from_the_environment_alone(server, table, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "secret")
    judge_from({**table, "key_variable": "JUDGE_KEY"}).not_factual(DOCUMENTS[:1])
    assert server.asked[0][2] == "Bearer secret"


@pytest.mark.parametrize(
    "wrong, match",
    [
        ({"name": "oracle"}, "'oracle' is no plugin of sbp_bayes.judges"),
        ({"model": ""}, "evaluation.judge.model: expected the name"),
        ({"temperature": 1}, "evaluation.judge.temperature: no such option"),
        ({"concurrency": 0}, "evaluation.judge.concurrency = 0: expected at least 1"),
        ({"concurrency": "2"}, "evaluation.judge.concurrency = '2': expected int"),
        ({"key_variable": "NO_SUCH_KEY"}, "no such environment variable"),
        ({"url": "nowhere"}, "expected a server's address"),
    ],
)
def test_wrong_options_are_refused_in_one_line(table, wrong, match):
    with pytest.raises(UserError, match=match):
        judge_from({**table, **wrong}).not_factual(["a"])


def test_a_server_that_refuses_ends_it_and_what_was_answered_is_kept(server, table):
    judge = EndpointJudge.from_options({k: v for k, v in table.items() if k != "name"} | {"concurrency": 1})
    assert judge.not_factual(DOCUMENTS[:2]) == [False, True]
    server.shutdown()
    judge.options["url"] = f"http://127.0.0.1:{server.server_port}/nowhere/v1"
    assert judge.not_factual(DOCUMENTS[:2]) == [False, True]


@pytest.mark.parametrize(
    "wrong, match",
    [
        ({"judge": {"name": "oracle"}}, "evaluation.judge.name = 'oracle': expected one of endpoint"),
        ({"judge": {"model": "m"}}, "evaluation.judge.name = None: expected one of endpoint"),
        ({"judge": {"name": "endpoint", "documents": 0}}, "evaluation.judge.documents = 0: expected a whole number"),
        (
            {"quality_embedder": "base-model"},
            'evaluation.quality_embedder = "base-model": expected one of tfidf, minilm',
        ),
    ],
)
def test_an_experiment_learns_at_once_that_a_measure_can_not_be_had(wrong, match):
    with pytest.raises(UserError, match=match):
        experiment_from({"name": "t", "corpus": {"path": "somewhere"}, "evaluation": wrong})
