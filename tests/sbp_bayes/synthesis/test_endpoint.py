"""Synthesis through a served model: the own sampler's law and log-probabilities, resumable, and clear when it fails."""

from collections import Counter

import numpy as np
import pytest

from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from sbp_bayes.synthesis import http_json
from sbp_bayes.synthesis.completions import read_choice
from sbp_bayes.synthesis.endpoint import Endpoint, sample_by_endpoint
from sbp_bayes.synthesis.finished_prompts import FILE, FinishedPrompts
from sbp_bayes.synthesis.sampler import SamplingConfig, sample
from sbp_bayes.synthesis.scoring import score

D1 = [[3, 1, 4, 1, 5, 9], [2, 6]]


@pytest.fixture
def prompts(tokenizer) -> list[np.ndarray]:
    return [np.array([tokenizer.bos, *document, tokenizer.sep]) for document in D1]


@pytest.fixture
def ask(tokenizer, prompts, tmp_path):
    def draw(model, url, copies=2, seed=0, folder="kept", **changes):
        config = SamplingConfig(**{"max_tokens": 5, **changes})
        return sample_by_endpoint(model, prompts, copies, config, tokenizer, seed, Endpoint(url), tmp_path / folder)

    return draw


def test_documents_follow_the_own_samplers_law(make_model, serve, ask, prompts, tokenizer):
    model, copies = make_model(tied=False), 1500
    law = dict(temperature=0.8, top_p=0.9, max_tokens=2, min_tokens=0)
    served = ask(model, serve(model).url, copies, **law)
    repeated = [prompt for _ in range(copies) for prompt in prompts]
    own = sample(model, repeated, SamplingConfig(**law), tokenizer, generator("own"))
    for d1 in range(len(prompts)):
        counts = [Counter() for _ in range(2)]
        for count, samples in zip(counts, (served, own), strict=True):
            documents = zip(samples.tokens[d1::2], samples.finished[d1::2], strict=True)
            count.update((*document.tolist(), bool(finished)) for document, finished in documents)
        both = [(counts[0][key], counts[1][key]) for key in counts[0] | counts[1]]
        frequent = np.array([pair for pair in both if sum(pair) >= 20])
        assert len(frequent) > 10 and frequent.sum() > 0.8 * 2 * copies
        # Each count minus its share of both is normal with variance sum / 4, nearly independently.
        statistic = ((frequent[:, 0] - frequent[:, 1]) ** 2 / frequent.sum(axis=1)).sum()
        assert abs(statistic - len(frequent)) < 4 * np.sqrt(2 * len(frequent))


def test_log_probabilities_are_those_of_the_model(make_model, serve, ask, prompts, tokenizer):
    model = make_model(tied=False)
    samples = ask(model, serve(model).url, 20, temperature=0.7)
    assert 0 < samples.finished.sum() < 40
    for row, (tokens, found, finished) in enumerate(
        zip(samples.tokens, samples.log_probs, samples.finished, strict=True)
    ):
        prompt = prompts[row % 2]
        whole = np.concatenate((prompt, tokens, [tokenizer.eos] if finished else [])).astype(np.int64)
        assert np.abs(score(model, [whole])[0][len(prompt) - 1 :] - found).max() < 1e-4
        assert len(tokens) <= 5 and (finished or len(tokens) == 5)


def test_a_synthesis_that_is_stopped_goes_on(make_model, serve, ask, tmp_path, monkeypatch):
    model = make_model(tied=False)
    server = serve(model)
    monkeypatch.setattr("sbp_bayes.synthesis.endpoint.MOST_COPIES", 3)
    undisturbed = ask(model, server.url, 8, folder="undisturbed")
    answered, complete = [], server.complete

    def dying(body):
        answered.append(body["n"])
        if len(answered) == 5:
            raise UserError("stopped")
        return complete(body)

    monkeypatch.setattr(server, "complete", dying)
    with pytest.raises(UserError, match=r"refused \(400 Bad Request: stopped\)"):
        ask(model, server.url, 8)
    kept = (tmp_path / "kept" / FILE).read_text()
    assert 0 < kept.count("documents") < 6
    (tmp_path / "kept" / FILE).write_text(kept + '{"key":[1,6],"docum')  # what a kill leaves of a line
    before = len(answered)
    resumed = ask(model, server.url, 8)
    assert len(answered) - before == 6 - kept.count("documents") + 1  # and the probe
    for a, b in zip(resumed.tokens, undisturbed.tokens, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(resumed.finished, undisturbed.finished)
    monkeypatch.setattr(server, "complete", lambda body: pytest.fail("asked again"))
    again = ask(model, "http://localhost:1", 8)
    assert all(np.array_equal(a, b) for a, b in zip(again.tokens, undisturbed.tokens, strict=True))


def test_a_folder_of_another_synthesis_or_damaged_is_refused(make_model, serve, ask, tmp_path):
    model = make_model(tied=False)
    url = serve(model).url
    ask(model, url)
    with pytest.raises(UserError, match="belongs to another synthesis"):
        ask(model, url, seed=1)
    with pytest.raises(UserError, match="belongs to another synthesis"):
        ask(make_model(1, tied=False), url)
    (tmp_path / "kept" / FILE).write_text((tmp_path / "kept" / FILE).read_text() + "nonsense\n")
    with pytest.raises(UserError, match="damaged"):
        ask(model, url)


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path):
    told = pytest.raises(UserError, match=f"{FILE}: could not be written")
    with open("/dev/full", "a", encoding="utf-8") as full, told, FinishedPrompts(tmp_path, []) as finished:
        finished._file.close()
        finished._file = full
        finished.add((0, 0), [])


def test_another_model_is_told_from_the_synthesizer(make_model, serve, ask):
    model, other = make_model(tied=False), make_model(1, tied=False)
    with pytest.raises(UserError, match=r"doesn't serve this synthesizer: .* nats a token \(other by \d"):
        ask(model, serve(other, name="other").url)


def test_a_server_that_is_busy_is_asked_again(make_model, serve, ask, monkeypatch):
    model, busy = make_model(tied=False), [3]
    server = serve(model)
    monkeypatch.setattr(http_json, "FIRST_WAIT_SECONDS", 0.01)
    complete = server.complete

    def at_first_busy(body):
        if busy[0]:
            busy[0] -= 1
            raise RuntimeError("the connection ends without an answer")
        return complete(body)

    monkeypatch.setattr(server, "complete", at_first_busy)
    monkeypatch.setattr(server, "handle_error", lambda *arguments: None)
    assert len(ask(model, server.url).tokens) == 4
    busy[0] = 10**6
    with pytest.raises(UserError, match=r"/v1/completions: no answer"):
        ask(model, server.url, folder="other")


def test_a_server_that_is_not_there_is_one_line(make_model, ask):
    with pytest.raises(UserError, match=r"^http://localhost:1/v1/models: no answer \(.*refused\)$"):
        ask(make_model(), "http://localhost:1")
    with pytest.raises(UserError, match="expected a server's address"):
        ask(make_model(), "localhost:1")


def test_documents_of_a_given_length_have_it(make_model, serve, ask):
    model = make_model(tied=False)
    samples = ask(model, serve(model).url, 10, min_tokens=4, max_tokens=4)
    assert samples.finished.all() and {len(tokens) for tokens in samples.tokens} == {4}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"text": "3 4"}, "no token ids back"),
        ({"text": "3 4", "token_ids": [3, 4]}, "no log-probabilities"),
        ({"text": "3 4", "logprobs": {"tokens": ["3", " 4"], "token_logprobs": [-1, -1]}}, "no token ids"),
    ],
)
def test_a_server_that_says_too_little_is_refused(answer, message, tokenizer):
    with pytest.raises(UserError, match=message):
        read_choice(answer, SamplingConfig(max_tokens=5), tokenizer)


EOS, BOS = 13, 11
EDGES = [
    # tokens, finish_reason -> tokens, log-probabilities, finished
    ([3, 4, EOS], "stop", [3, 4], 3, True),
    ([3, 4], "stop", [3, 4], 2, True),
    ([3, 4, 5, EOS], "length", [3, 4, 5], 4, True),
    ([3, 4, 5, 6], "length", [3, 4, 5], 3, False),
    ([3, BOS, 5, EOS], "stop", [3], 1, False),
    ([EOS], "stop", [], 1, True),
]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("given", "reason", "tokens", "scored", "finished"), EDGES)
def test_ends_are_read(given, reason, tokens, scored, finished, named, tokenizer):
    logprobs = {"token_logprobs": [-0.5] * len(given), "tokens": [f"token_id:{token}" for token in given]}
    choice = {"finish_reason": reason, "logprobs": logprobs} | ({} if named else {"token_ids": given})
    written = read_choice(choice, SamplingConfig(max_tokens=3), tokenizer)
    assert (written.tokens.tolist(), len(written.log_probs), written.finished) == (tokens, scored, finished)
