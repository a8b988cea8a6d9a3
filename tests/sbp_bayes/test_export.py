"""`sbp export` on a run, and the example of docs/hugging-face.md as it is printed."""

import json
import re
import shlex
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from sbp_bayes.cli import main
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.model.hugging_face import import_model
from sbp_bayes.synthesis.scoring import score
from sbp_bayes.training import launch
from sbp_bayes.training.checkpoint import load_model

ROOT = Path(__file__).parents[2]
TINY = """
    seeds=[3,5] corpus.real=48 corpus.validation=16 corpus.heldout=16 corpus.oracle=48 arms.names=["sbp"]
    training.epochs=2 training.compile=off pairing.pairs_per_document=2 evaluation.documents=4 evaluation.examples=1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with runs/demo: the demo, very small."""
    folder = tmp_path_factory.mktemp("exported run")
    changes = [part for change in TINY.split() for part in ("--set", change)]
    arguments = ["run", str(ROOT / "experiments" / "demo.toml"), "--out", str(folder / "runs"), "--workers", "1"]
    assert main([*arguments, *changes]) == 0
    return folder


def blocks(language: str) -> list[str]:
    """The page's code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "hugging-face.md").read_text(), re.DOTALL)


def weights_of(run: Path, seed: int, model: str, checkpoint: str) -> list[torch.Tensor]:
    links = json.loads((run / "seeds" / str(seed) / "stages.json").read_text())
    return list(load_model(run / links[f"model/{model}"] / f"{checkpoint}.safetensors").parameters())


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ("", (3, "arm sbp", "best")),
        ("--seed 5 --model base", (5, "base", "best")),
        ("--model synthesizer --checkpoint final", (3, "synthesizer", "final")),
    ],
)
def test_the_chosen_model_is_exported(folder, tmp_path, capsys, options, chosen):
    run = folder / "runs" / "demo"
    assert main(["export", str(run), "--out", str(tmp_path / "out"), *options.split()]) == 0
    assert f"{chosen[1]}, 109,184 parameters" in capsys.readouterr().out
    model, tokenizer = import_model(tmp_path / "out")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), weights_of(run, *chosen), strict=True))
    corpus = run / json.loads((run / "seeds" / "3" / "stages.json").read_text())["corpus"]
    assert tokenizer.fingerprint == load_tokenizer(corpus / "tokenizer").fingerprint
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["sbp_bayes"].items() >= dict(zip(("seed", "model", "checkpoint"), chosen, strict=True)).items()
    assert config["sbp_bayes"]["run"] == "demo"
    assert config["max_position_embeddings"] == (35 if chosen[1] == "synthesizer" else 18)


def test_a_launch_is_exported_from_its_folder_alone(make_corpus, random_documents, tokenizer, tmp_path, capsys):
    corpus = make_corpus(random_documents(40, 3, 9)).folder
    tokenizer.save(tmp_path / "rules")
    trained, out = tmp_path / "trained", tmp_path / "out"
    options = ["--corpus", corpus, "--tokenizer", tmp_path / "rules", "--context", 16, "--steps", 2, "--out", trained]
    assert launch.main(list(map(str, [*options, "--size", "0.03M", "--batch-tokens", 64]))) == 0
    shutil.rmtree(tmp_path / "rules")
    assert main(["export", str(trained), "--model", "base", "--out", str(out)]) == 2
    assert "leave --model and --seed out" in capsys.readouterr().err
    assert main(["export", str(trained), "--out", str(out)]) == 0
    assert "size 0.03M, " in capsys.readouterr().out
    model, rules = import_model(out)
    left = load_model(trained / "final.safetensors").parameters()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), left, strict=True))
    assert rules.fingerprint == tokenizer.fingerprint
    config = json.loads((out / "config.json").read_text())
    assert config["max_position_embeddings"] == 17 and config["sbp_bayes"]["run"] == "trained"


@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        ("runs/stages", "", "not a finished run"),
        ("runs/demo", "--seed 4", "has no seed 4; it has 3, 5"),
        ("runs/demo", "--model sbp", 'no model "sbp"; it has base, synthesizer, arm sbp'),
    ],
)
def test_what_is_not_there_is_one_line_with_what_is(folder, tmp_path, capsys, run, options, message):
    assert main(["export", str(folder / run), "--out", str(tmp_path / "out"), *options.split()]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_page_on_hugging_face_says_what_works(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for line in blocks("bash")[0].splitlines():
        program, *arguments = shlex.split(line)
        assert program == "sbp"
        assert main(arguments) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what transformers says on being imported
        import transformers  # noqa: F401
    found: dict = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the page samples; a document may end before its first word
        for block in blocks("python"):
            exec(block, found)
    assert len(found["d2"]) == 2
    assert all(set(text.split()) <= {str(i) for i in range(32)} and text for text in found["d2"])
    pair = np.array([32, 3, 17, 5, 3, 2, 4, 1, 30, 33, 9, 4, 28, 10, 28, 26, 34])
    assert found["pair"].tolist() == [pair.tolist()]
    expected = score(found["ours"], [pair])[0][-7:].sum()
    assert abs(float(found["log_probability"]) - expected) < 1e-4
    assert found["same"]
    assert (folder / "exported" / "again" / "model.safetensors").exists()
    assert Path("exported/sbp/config.json").exists()
