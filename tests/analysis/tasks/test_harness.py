"""lm-evaluation-harness itself on tiny tasks: our scorer against its class ``hf``, an oracle, guessing, a whole run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_lexicon import HEADWORDS, gloss

from analysis.tasks.harness import Harness, agresti_coull_error, asked_tasks
from sbp_bayes.cli import main
from sbp_bayes.documents.tokenizer import BpeTokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.hugging_face import export_model
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator, numpy_generator

# What the harness and the libraries that it imports warn of is not ours to mend.
pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore")]
NAMES = ["lexicon-definition", "lexicon-synonym", "lexicon-topic"]


@pytest.fixture
def folder(tiny_cache, tmp_path) -> Path:
    """A folder of tasks made of tiny dictionaries."""
    assert main(["tasks", str(tmp_path / "tasks"), "--tasks", ",".join(NAMES), "--items", "60"]) == 0
    return tmp_path / "tasks"


@pytest.fixture
def model(folder) -> tuple[Transformer, BpeTokenizer]:
    texts = [f"{word}, n. {gloss(word, 'gcide')}" for word in HEADWORDS]
    tokenizer = BpeTokenizer.train(texts, 400)
    model = Transformer(model_config("0.1M", tokenizer.vocabulary_size))
    return model.init(generator("model")), tokenizer


def asked_of(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


class Answers:
    """Makes a model of the harness that prefers the option ``choose(item)``."""

    def __new__(cls, choose):
        from lm_eval.api.model import LM

        class Answering(LM):
            def loglikelihood(self, requests, disable_tqdm=False):
                return [(-float(request.idx != choose(request.doc)), False) for request in requests]

            def loglikelihood_rolling(self, requests, disable_tqdm=False):
                raise AssertionError

            generate_until = loglikelihood_rolling

        return Answering()


def scores(folder, model, limit=None):
    asked = asked_tasks(NAMES, folder)
    return {(s.task, s.metric): s for s in Harness(asked, folder, hub=False).scores(model, limit)}


def test_an_oracle_is_always_right_and_a_guess_as_often_as_chance_says(folder, capsys):
    oracle = scores(folder, Answers(lambda doc: doc["answer"]))
    for (_, metric), score in oracle.items():
        if metric == "acc":
            assert score.estimate == 1 and score.se == agresti_coull_error(1.0, score.n)
    assert "0/" not in capsys.readouterr().err  # a bar of the harness
    rng = numpy_generator("guesses")
    guessed = scores(folder, Answers(lambda doc: guess(rng, doc)))
    for (name, metric), score in guessed.items():
        if metric == "acc":
            assert score.n == len(asked_of(folder, name))
            assert abs(score.estimate - score.chance) < 4 * (score.chance / score.n) ** 0.5


def guess(rng, doc) -> int:
    doc.setdefault("guess", int(rng.integers(len(doc["options"]))))
    return doc["guess"]


def test_our_scorer_gives_what_the_harness_own_class_gives(folder, model, tmp_path):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from analysis.tasks.scorer import Scorer

    transformer, tokenizer = model
    texts = [(option, row["ending"]) for row in asked_of(folder, NAMES[0])[:10] for option in row["options"]]
    texts += [(row["prompt"], f" {o}") for row in asked_of(folder, NAMES[1])[:10] for o in row["options"]]
    texts += [("", "cup"), ("trailing space ", "cup")]
    longest = max(len(ids) for ids in tokenizer.encode([continuation for _, continuation in texts]))
    context = longest + 2  # some texts are cut on the left
    export_model(transformer, tokenizer, tmp_path / "exported", context=context)
    ours = Scorer(transformer, tokenizer, context, "model")
    theirs = HFLM(
        pretrained=str(tmp_path / "exported"), add_bos_token=True, batch_size=16, device="cpu", dtype="float32"
    )
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(texts)]
    found, expected = ours.loglikelihood(requests), theirs.loglikelihood(requests, disable_tqdm=True)
    assert np.allclose([nats for nats, _ in found], [nats for nats, _ in expected], atol=1e-4)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    assert min(nats for nats, _ in found) < -50
    with pytest.raises(UserError, match="reads 8 tokens at a time, an answer of the tasks has"):
        Scorer(transformer, tokenizer, 8, "model").loglikelihood(requests)


def test_whole_texts_and_greedy_answers(model):
    from lm_eval.api.instance import Instance

    from analysis.tasks.scorer import Scorer
    from sbp_bayes.synthesis.scoring import score

    transformer, tokenizer = model
    text = " ".join(HEADWORDS[:12])
    ids = np.concatenate(([tokenizer.bos], tokenizer.encode([text])[0]))
    whole = Scorer(transformer, tokenizer, 500, "model").loglikelihood_rolling([Instance("", {}, (text,), 0)])
    assert whole[0] == pytest.approx(score(transformer, [ids])[0].sum(), abs=1e-3)
    windows = Scorer(transformer, tokenizer, 10, "model").loglikelihood_rolling([Instance("", {}, (text,), 0)])
    assert windows[0] != pytest.approx(whole[0], abs=1e-3)
    scorer = Scorer(transformer, tokenizer, 64, "model")
    tokens = ids.tolist()
    for _ in range(5):
        with torch.no_grad():
            logits = transformer(torch.tensor([tokens]))[0, -1]
        logits[[tokenizer.bos, tokenizer.sep]] = -torch.inf
        tokens.append(int(logits.argmax()))
    assert tokenizer.eos not in tokens
    expected = tokenizer.decode(tokens[len(ids) :])
    for mark, answer in (("\n\n", expected), (expected[1], expected[0])):
        request = Instance("", {}, (text, {"until": [mark], "max_gen_toks": 5}), 0)
        assert scorer.generate_until([request]) == [answer]


def test_data_that_is_nowhere_is_one_line(folder, model, tmp_path, capsys, monkeypatch):
    export_model(*model, tmp_path / "exported", context=64)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    assert main(["evaluate", str(tmp_path / "exported"), "--tasks", "sciq", "--device", "cpu"]) == 2
    assert "task sciq: no data, it is in no local cache" in capsys.readouterr().err.splitlines()[-1]


EXPERIMENT = """
seeds = [0]
[corpus]
real = 60
validation = 20
heldout = 60
oracle = 80
[corpus.text]
path = "{path}"
id_column = "doc_id"
concept_column = "concept"
source_column = "source"
[tokenizer]
vocabulary = 300
[model]
size = "0.1M"
[training]
epochs = 1
compile = "off"
[pairing]
alpha = -1
shingle = 0
[arms]
names = ["repetition", "sbp"]
"""


def test_a_run_is_asked_about_headwords_that_it_did_not_read(tiny_cache, tmp_path, capsys):
    rows = [
        {"doc_id": f"{source}:{word}", "source": source, "concept": word, "text": f"{word}, n. {gloss(word, source)}."}
        for word in HEADWORDS[:110]
        for source in ("gcide", "wordnet")
    ]
    (tmp_path / "entries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tiny.toml").write_text(EXPERIMENT.format(path=tmp_path / "entries.jsonl"))
    runs, tasks = tmp_path / "runs", str(tmp_path / "tasks")
    assert main(["run", str(tmp_path / "tiny.toml"), "--out", str(runs), "--workers", "1"]) == 0
    assert "Held-out perplexity by source" in (runs / "tiny" / "report.html").read_text()
    chosen = ["--tasks", "lexicon-definition", "--items", "40"]
    assert main(["tasks", tasks, "--run", str(runs / "tiny"), *chosen]) == 0
    capsys.readouterr()
    command = ["evaluate", str(runs / "tiny"), "--tasks", "lexicon-definition", "--folder", tasks, "--device", "cpu"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "lexicon-definition acc best" in said.out and "repetition" in said.out
    assert "were not made for" not in said.err
    found = json.loads((runs / "tiny" / "tasks" / "results.json").read_text())
    assert {(row["subject"], row["seed"]) for row in found} == {
        (a, s) for a in ("repetition", "sbp") for s in (0, None)
    }
    assert "<h2>Tasks</h2>" in (runs / "tiny" / "report.html").read_text()

    assert main(["tasks", tasks, *chosen]) == 0
    assert main([*command, "--limit", "4", "--model", "arm sbp"]) == 0
    assert "were not made for" in capsys.readouterr().err
