"""What a run is told to take, against what its stages take."""

import json

import pytest

from sbp_bayes.estimate import (
    DEFAULTS,
    MEASURES,
    Estimate,
    by_kind,
    compared,
    elapsed,
    estimate,
    lines,
    read_estimates,
)
from sbp_bayes.experiment import experiment_from
from sbp_bayes.files import write_json
from sbp_bayes.graph import Stage, in_order, run_stage
from sbp_bayes.plan import plan_seed
from sbp_bayes.stages import KINDS


def stages_of(seed: int, **tables) -> list[Stage]:
    """Corpus, base model, pairs, synthesizer, synthesis and arms of a tiny experiment."""
    table = {
        "name": "x",
        "corpus": {"real": 96, "validation": 32, "heldout": 32, "oracle": 192, "world": {"name": "bow"}},
        "training": {"epochs": 4.0, "evaluations": 2, "compile": "off"},
        "synthesizer": {"evaluations": 2, "patience": 0},
        "pairing": {"pairs_per_document": 4},
        "arms": {"names": ["repetition", "sbp"]},
    }
    plan = plan_seed(experiment_from({**table, **tables}), seed)
    return [stage for stage in in_order([plan.evaluation]) if stage.kind != "evaluation"]


def run(stages: list[Stage], root) -> None:
    for stage in stages:
        run_stage(stage, KINDS[stage.kind], root, "cpu")


def test_after_one_run_the_next_is_told_within_a_factor_of_two(tmp_path):
    first, second = stages_of(0), stages_of(1, training={"epochs": 6.0, "evaluations": 2, "compile": "off"})
    told = estimate(first, tmp_path)
    run(first, tmp_path)
    # Without a finished stage the formulas alone are right for a world: its lengths are near the default.
    for row in compared(told, first, tmp_path):
        for measure in ("tokens", "flops"):
            assert row["took"][measure] <= 2 * row["expected"][measure] <= 4 * row["took"][measure], row
    assert not any(e.calibrated for e in told.values())

    told = estimate(second, tmp_path)
    assert set(told) == {stage.folder(tmp_path).name for stage in second}
    run(second, tmp_path)
    rows = compared(told, second, tmp_path)
    assert [row["kind"] for row in rows] == ["corpus", "base", "pairs", "synthesizer", "synthesis", "arm"]
    for row in rows:
        for measure in ("tokens", "flops", "bytes"):
            assert row["took"][measure] <= 2 * row["expected"][measure] <= 4 * row["took"][measure], (measure, row)
        assert row["expected"]["seconds"] > 0
    assert all(e.calibrated for e in told.values())
    assert not estimate(second, tmp_path)


def test_what_a_small_folder_is_told_at_most_is_told_right_once_its_documents_are_counted(tmp_path):
    (tmp_path / "mine.jsonl").write_text("".join(f'{{"text": "document {i} of a few"}}\n' for i in range(50)))
    corpus = {"fit": True, "text": {"path": str(tmp_path / "mine.jsonl")}}
    table = {"corpus": corpus, "tokenizer": {"vocabulary": 300}, "arms": {"names": ["repetition", "oracle"]}}
    (first, arm, _), (second, *_) = (stages_of(seed, **table) for seed in (0, 1))
    root = tmp_path / "stages"
    before = estimate([first, arm], root)
    assert all(e.at_most for e in before.values())
    assert lines(before, 65.0, 1)[-1].endswith("; documents: at most, corpus.fit may find fewer")
    run([first], root)
    for stages in ([arm], [second]):
        (counted,) = estimate(stages, root).values()
        assert not counted.at_most
        assert "at most" not in lines({"": counted}, 65.0, 1)[-1]
    (counted,) = estimate([arm], root).values()
    (guessed,) = (e for e in before.values() if e.kind == "arm")
    assert counted.tokens < guessed.tokens / 50  # 15 of 2,048 documents


def test_rates_are_those_of_alike_stages(tmp_path):
    """A stage of the same kind, size and source decides, however many others there are."""
    first = stages_of(0)
    run(first, tmp_path)
    arm = next(stage for stage in first if stage.name.endswith("arm sbp"))
    for name, size, seconds in (("a", "1M", 10.0), ("b", "0.1M", 3000.0)):
        folder = tmp_path / f"arm-{name}"
        record = json.loads((arm.folder(tmp_path) / "stage.json").read_text())
        record["config"]["model"]["size"] = size
        write_json(folder / "stage.json", {**record, "seconds": seconds, "files": {}})
    own = [stage for stage in first if stage.kind == "arm"]
    for stage in own:
        (stage.folder(tmp_path) / "stage.json").unlink()
    (told,) = {round(e.seconds, 6) for e in estimate(own, tmp_path).values()}
    assert told == pytest.approx(3000.0)


def test_stages_that_can_be_taken_no_rate_from_are_passed_over(tmp_path):
    stages = stages_of(0)
    write_json(tmp_path / "arm-0" / "stage.json", {"kind": "arm", "inputs": {"corpus": "corpus-gone"}, "config": {}})
    write_json(tmp_path / "base-1" / "stage.json", {"kind": "base", "inputs": {}, "config": {}})
    assert not any(e.calibrated for e in estimate(stages, tmp_path).values())


def test_time_on_several_workers(tmp_path):
    corpus = Stage("corpus", "corpus", {"n": 0})
    arms = [Stage("arm", f"arm {n}", {"n": n}, {"corpus": corpus}) for n in range(3)]
    last = Stage("evaluation", "evaluation", {}, {str(n): arm for n, arm in enumerate(arms)})
    stages = [corpus, *arms, last]
    seconds = {"corpus": 1.0, "arm": 10.0, "evaluation": 2.0}
    told = {s.folder(tmp_path).name: Estimate(s.kind, 1, 2, 3, seconds[s.kind], True) for s in stages}
    assert [elapsed(stages, told, tmp_path, workers) for workers in (1, 2, 3, 4)] == [33, 23, 13, 13]
    del told[corpus.folder(tmp_path).name]
    assert elapsed(stages, told, tmp_path, 3) == 12
    assert elapsed(stages, {}, tmp_path, 3) == 0
    assert by_kind(told.values())["arm"] == {"stages": 3, "tokens": 3, "flops": 6, "bytes": 9, "seconds": 30}
    shown = lines(told, 65.0, 3)
    assert [line.split()[0] for line in shown] == ["expected", "arm", "evaluation", "all", "about"]
    assert shown[-1] == "about 1:05 with 3 workers (rates: this machine's finished stages)"


def test_every_kind_of_stage_has_a_default_rate():
    assert set(DEFAULTS) == set(KINDS)


def test_what_an_earlier_start_said_is_read_back(tmp_path):
    told = {"arm-0": Estimate("arm", 1, 2, 3, 4, False)}
    write_json(tmp_path / "estimate.json", told)
    assert read_estimates(tmp_path / "estimate.json") == told
    for content in ("[1]", '{"arm-0": {"kind": "arm"}}', "{"):
        (tmp_path / "estimate.json").write_text(content)
        assert read_estimates(tmp_path / "estimate.json") == {}
    assert read_estimates(tmp_path / "absent.json") == {}
    assert MEASURES == ("tokens", "flops", "bytes", "seconds")
