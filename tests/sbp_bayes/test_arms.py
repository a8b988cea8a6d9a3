"""Every arm in a tiny world, stage by stage in this process: what its model was trained on, and that it was trained."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sbp_bayes.arms import ARMS
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import experiment_from
from sbp_bayes.graph import in_order, read_record, run_stage
from sbp_bayes.plan import SeedPlan, plan_seed
from sbp_bayes.stages import KINDS

TINY = {
    "name": "tiny",
    "corpus": {
        "real": 64,
        "validation": 16,
        "heldout": 16,
        "oracle": 96,
        "world": {"name": "bow", "preset": "medium", "length": 8, "concepts": 2},
    },
    "model": {"size": "0.03M"},
    "training": {"epochs": 4, "evaluations": 2, "compile": "off", "batch_tokens": 90},
    "pairing": {"pairs_per_document": 12},
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


def trained_of(plan: SeedPlan, root: Path, arm: str) -> dict:
    return json.loads((plan.models[f"arm {arm}"].folder(root) / "trained.json").read_text())


def flops_of(stage, root: Path) -> float:
    return sum(entry["flops"] for entry in read_record(stage, root)["ledger"])


@pytest.mark.parametrize("arm", [name for name, arm in ARMS.items() if not (arm.tuned or arm.compute)])
def test_every_arm_spends_the_same_tokens_as_repetition(arm, stages):
    plan = planned(*dict.fromkeys(["repetition", arm]))
    run(plan, stages)
    slots = trained_of(plan, stages, "repetition")["slots"]
    # Rows that hold several documents are longer, so that a step may have more slots or fewer.
    within = 0.1 if ARMS[arm].joined else 0.0
    assert trained_of(plan, stages, arm)["slots"] == pytest.approx(slots, rel=within, abs=0)
    assert flops_of(plan.models[f"arm {arm}"], stages) > 0


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


def test_a_synthesizer_from_scratch_reads_no_base_model(stages):
    plan = planned("sbp", "scratch-synthesizer")
    run(plan, stages)
    scratch, tuned = plan.models["synthesizer scratch-synthesizer"], plan.models["synthesizer"]
    assert set(scratch.inputs) == {"corpus", "pairs"}
    weights = [(stage.folder(stages) / "final.safetensors").read_bytes() for stage in (scratch, tuned)]
    assert weights[0] != weights[1]


def test_several_documents_are_given_to_a_synthesizer_that_was_tuned_on_several(stages):
    plan = planned("several", arms={"several": 3})
    assert plan.models["synthesizer several"].config["synthesizer"]["group"] == 3
    synthesis = plan.synthetic["several"]
    run(plan, stages)
    documents = len(corpus_of(plan, stages))
    prefill = read_record(synthesis, stages)["ledger"][0]["tokens"]
    written = len(synthetic_of(plan, stages, "several")[0])
    # bos and two documents of 8 tokens, each with its sep.
    assert written % documents == 0
    assert prefill == written * (1 + 2 * 9)


def test_a_second_round_starts_from_the_model_of_the_first(stages):
    plan = planned("round-2", "round-2-repaired")
    first = plan.models["arm sbp"]
    assert plan.models["synthesizer round-2"].inputs["base"] is first
    again = plan.models["synthesizer round-2-repaired"].inputs["pairs"]
    assert again.inputs["base"] is first
    assert again.config["pairing"]["embedder"] == "base-model"
    assert plan.models["synthesizer round-2"].inputs["pairs"] is plan.models["synthesizer"].inputs["pairs"]
    # Its pairs have the rule's name for subject, which in text is also that of the first round.
    assert "pairs repaired" not in plan.evaluation.inputs


def test_repetition_at_equal_compute_spends_what_sbp_does_from_end_to_end(stages):
    plan = planned("sbp", "repetition-compute")
    run(plan, stages)
    spent = sum(flops_of(stage, stages) for stage in in_order([plan.models["arm sbp"]]))
    assert flops_of(plan.models["arm repetition-compute"], stages) == pytest.approx(spent, rel=0.05)
    assert spent > 1.5 * flops_of(plan.models["arm repetition"], stages)


def test_tuned_repetition_takes_the_setting_with_the_best_validation_loss(stages):
    plan = planned("repetition", "repetition-tuned", arms={"tuned_weight_decay": [1, 30], "tuned_budget": [50, 100]})
    run(plan, stages)
    arm = plan.models["arm repetition-tuned"]
    tried = json.loads((arm.folder(stages) / "grid.json").read_text())
    assert [(t["weight_decay"], t["budget"]) for t in tried] == [(0.1, 0.5), (0.1, 1.0), (3.0, 0.5), (3.0, 1.0)]
    best = min(t["best_loss"] for t in tried)
    assert trained_of(plan, stages, "repetition-tuned")["best_loss"] == best
    # The whole budget at the usual weight decay is arm repetition itself.
    assert tried[1]["best_loss"] == trained_of(plan, stages, "repetition")["best_loss"]
    assert len(read_record(arm, stages)["ledger"]) == 4


@pytest.mark.parametrize("values", [[], [0, 1]])
def test_a_grid_of_nothing_is_refused(values):
    with pytest.raises(UserError, match=r"arms\.tuned_budget"):
        planned("repetition-tuned", arms={"tuned_budget": values})
