"""The server of exported models: what it answers, against the model itself and against transformers."""

import json
import urllib.error
import urllib.request
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sbp_bayes.cli import main
from sbp_bayes.synthesis.scoring import score

BOS, SEP, EOS = 11, 12, 13
PROMPT = [BOS, 3, 1, 4, SEP]


def ask(server, path="/v1/completions", **body) -> dict:
    """The answer to a request, with ``status`` where it is refused."""
    content = json.dumps(body).encode() if body else None
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, content), timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, **json.load(error)}


@pytest.fixture
def server(make_model, serve):
    return serve(make_model(tied=False), name="synthesizer")


def test_served_log_probabilities_are_those_of_transformers(server, tmp_path):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("HF_HUB_OFFLINE", "1")
        import transformers

        there = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "exported0", dtype=torch.float32).eval()
    answer = ask(server, prompt=PROMPT, max_tokens=20, n=8, seed=3, logprobs=1, echo=True, return_token_ids=True)
    lengths = set()
    for choice in answer["choices"]:
        written = [*PROMPT, *choice["token_ids"]]
        found = choice["logprobs"]["token_logprobs"]
        assert found[0] is None and len(found) == len(written)
        with torch.no_grad():
            logits = there(torch.tensor([written])).logits[0, :-1].double().log_softmax(-1)
        expected = logits.gather(-1, torch.tensor(written[1:])[:, None])[:, 0]
        assert np.abs(np.array(found[1:]) - expected.numpy()).max() < 1e-4
        assert (choice["finish_reason"] == "stop") == (written[-1] == EOS) == (len(choice["token_ids"]) < 20)
        lengths.add(len(written))
    assert len(lengths) > 2


def test_a_given_sequence_is_scored(server):
    answer = ask(server, prompt=[PROMPT, [BOS, 2]], max_tokens=0, echo=True, logprobs=0)
    model = score(server.model, [np.array(PROMPT), np.array([BOS, 2])])
    for choice, expected in zip(answer["choices"], model, strict=True):
        assert np.abs(np.array(choice["logprobs"]["token_logprobs"][1:]) - expected).max() < 1e-6
    assert answer["usage"] == {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}


def test_a_seed_decides_the_answer_whatever_else_is_asked(server):
    def tokens(seed):
        answer = ask(server, prompt=PROMPT, max_tokens=8, n=3, seed=seed, return_token_ids=True)
        return [choice["token_ids"] for choice in answer["choices"]]

    alone = [tokens(seed) for seed in range(12)]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(tokens, range(12)))
    assert alone == together and len({str(one) for one in alone}) == 12
    unseeded = [ask(server, prompt=PROMPT, max_tokens=8)["choices"][0]["text"] for _ in range(4)]
    assert len(set(unseeded)) > 1


def test_text_is_encoded_as_the_export_does(server):
    by_text = ask(server, prompt="3 1 4<|sbp_sep|>", max_tokens=6, seed=1, return_token_ids=True)["choices"][0]
    by_ids = ask(server, prompt=PROMPT, max_tokens=6, seed=1, return_token_ids=True)["choices"][0]
    assert by_text == by_ids and by_ids["prompt_token_ids"] == PROMPT
    assert by_ids["text"] == " ".join(str(token) for token in by_ids["token_ids"] if token < BOS)


def test_stop_strings_end_a_document(server):
    request = dict(prompt=PROMPT, max_tokens=12, min_tokens=12, seed=5, return_token_ids=True)
    whole = ask(server, **request)["choices"][0]
    word = whole["text"].split()[2]
    cut = ask(server, **request, stop=f" {word}")["choices"][0]
    assert cut["text"] == whole["text"][: whole["text"].index(f" {word}")]
    assert cut["finish_reason"] == "stop" and cut["token_ids"] == whole["token_ids"][: len(cut["token_ids"])]
    assert cut["token_ids"][-1] == int(word)


def test_the_model_is_listed_with_its_context(server):
    (entry,) = ask(server, "/v1/models")["data"]
    assert (entry["id"], entry["max_model_len"]) == ("synthesizer", 64)
    assert ask(server, "/health") == {}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/completions", {"prompt": [BOS, 14]}, 400, "expected token ids 0..13"),
        ("/v1/completions", {"prompt": []}, 400, "prompt: expected a text"),
        ("/v1/completions", {"prompt": PROMPT, "max_tokens": 60}, 400, "65 tokens, the model's context has 64"),
        ("/v1/completions", {"prompt": PROMPT, "temperature": -1}, 400, "temperature: expected 0"),
        ("/v1/completions", {"prompt": PROMPT, "n": 1.5}, 400, "n: expected a whole number"),
        ("/v1/completions", {"prompt": PROMPT, "stream": True}, 400, "stream: not served"),
        ("/v1/completions", {"prompt": PROMPT, "logit_bias": {"3": 1}}, 400, "logit_bias: not served"),
        ("/v1/completions", {"prompt": PROMPT, "model": "other"}, 404, "'synthesizer' is"),
        ("/v1/chat/completions", {"messages": []}, 404, "not served"),
    ],
)
def test_what_is_not_served_is_said(server, path, body, status, message):
    answer = ask(server, path, **body)
    assert answer["status"] == status and message in answer["error"]["message"]


def test_a_folder_that_is_no_model_and_a_port_in_use_are_one_line(server, tmp_path, capsys):
    assert main(["serve", str(tmp_path / "nothing")]) == 2
    assert "config.json: not found" in capsys.readouterr().err
    assert main(["serve", str(tmp_path / "exported0"), "--port", str(server.server_address[1])]) == 2
    assert "can't listen there" in capsys.readouterr().err
    assert main(["serve", str(tmp_path / "exported0"), "--port", "99999"]) == 2
    assert "can't listen there (bind(): port must be 0-65535.)" in capsys.readouterr().err
