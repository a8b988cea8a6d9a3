"""Every arm in a tiny world, stage by stage in this process: what its model was trained on, and that it was trained."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sbp_bayes.arms import ARMS
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.experiment import experiment_from
from sbp_bayes.graph import in_order, read_record, run_stage
from sbp_bayes.plan import SeedPlan, plan_seed
from sbp_bayes.stages import KINDS

TINY = {
    "name": "tiny",
    "corpus": {
        "real": 40,
        "validation": 16,
        "heldout": 16,
        "oracle": 80,
        "world": {"name": "bow", "preset": "medium", "length": 8},
    },
    "model": {"size": "0.03M"},
    "training": {"epochs": 4, "evaluations": 2, "compile": "off", "batch_tokens": 90},
    "pairing": {"pairs_per_document": 4},
    "synthesizer": {"evaluations": 2},
}


def planned(*arms: str, **tables) -> SeedPlan:
    return plan_seed(experiment_from({**TINY, "arms": {"names": list(arms), **tables.pop("arms", {})}, **tables}), 0)


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> Path:
    """A folder of finished stages that the tests share, as runs do."""
    return tmp_path_factory.mktemp("stages")


def run(plan: SeedPlan, root: Path) -> None:
    for stage in in_order(list(plan.stages.values())):
        run_stage(stage, KINDS[stage.kind], root, "cpu")


def corpus_of(plan: SeedPlan, root: Path, split: str = "real") -> Corpus:
    folder = plan.corpus.folder(root)
    return Corpus.open(folder / split, load_tokenizer(folder / "tokenizer"))


def synthetic_of(plan: SeedPlan, root: Path, arm: str) -> tuple[list[np.ndarray], list[int]]:
    """Documents and the numbers of their seed documents."""
    folder = plan.synthetic[arm].folder(root) / "corpus"
    corpus = Corpus.open(folder, load_tokenizer(plan.corpus.folder(root) / "tokenizer"))
    return [corpus.document(i) for i in range(len(corpus))], corpus.column("seed_doc").to_pylist()


@pytest.mark.parametrize("arm", list(ARMS))
def test_every_arm_spends_the_same_tokens_as_repetition(arm, stages):
    plan = planned(*dict.fromkeys(["repetition", arm]))
    run(plan, stages)
    slots = {
        name: json.loads((plan.models[f"arm {name}"].folder(stages) / "trained.json").read_text())["slots"]
        for name in ("repetition", arm)
    }
    assert slots[arm] == slots["repetition"] > 0
    assert read_record(plan.models[f"arm {arm}"], stages)["ledger"][0]["flops"] > 0


def test_a_continuation_begins_as_its_seed_document_and_ends_on_its_own(stages):
    plan = planned("continuation")
    run(plan, stages)
    real = corpus_of(plan, stages)
    documents, seeds = synthetic_of(plan, stages, "continuation")
    assert sorted(set(seeds)) == list(range(len(real)))
    assert all(np.array_equal(d[:4], real.document(s)[:4]) for d, s in zip(documents, seeds, strict=True))
    assert {len(d) for d in documents} == {8}
    agree = np.mean([d[4:] == real.document(s)[4:] for d, s in zip(documents, seeds, strict=True)])
    assert agree < 0.5
    kinds = [stage.kind for stage in in_order(list(plan.stages.values()))]
    assert not {"pairs", "synthesizer"} & set(kinds)


def test_the_prefix_is_the_experiment_s_and_names_the_continuation_alone():
    usual, short = planned("sbp", "continuation"), planned("sbp", "continuation", arms={"prefix": 0.25})
    assert short.synthetic["continuation"].config["prefix"] == 0.25
    assert short.synthetic["continuation"].key != usual.synthetic["continuation"].key
    assert short.models["arm sbp"].key == usual.models["arm sbp"].key


def test_self_generation_takes_nothing_from_its_seed_document(stages):
    plan = planned("self-generation")
    run(plan, stages)
    real = corpus_of(plan, stages)
    documents, seeds = synthetic_of(plan, stages, "self-generation")
    agree = np.mean([d[0] == real.document(s)[0] for d, s in zip(documents, seeds, strict=True)])
    assert agree < 0.3
    assert {len(d) for d in documents} == {8}
    assert pq.read_table(plan.synthetic["self-generation"].folder(stages) / "rejected.parquet").num_rows == 0
