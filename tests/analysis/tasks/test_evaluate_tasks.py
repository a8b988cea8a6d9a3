"""`sbp evaluate`: what it answers without the harness, what is asked, and where scores are kept."""

import json

import pytest

from analysis.tasks.catalogue import TASKS
from analysis.tasks.harness import Score, agresti_coull_error, asked_tasks
from analysis.tasks.published import PUBLISHED
from analysis.tasks.stored import rows_of, store
from sbp_bayes.cli import main
from sbp_bayes.errors import UserError
from sbp_bayes.files import write_json
from sbp_bayes.results import read_results


@pytest.fixture
def folder(tmp_path):
    """A folder of tasks that holds one."""
    write_json(tmp_path / "tasks.json", {"corpora": [], "tasks": {"lexicon-topic": {"chance": 1 / 11}}})
    (tmp_path / "lexicon-topic.jsonl").write_text('{"answer": 0}\n')
    return tmp_path


def test_tasks_are_known_by_the_papers_names_and_by_ours(folder):
    found = asked_tasks(["lexicon-topic", "MMLU", "LAMBADA"], folder)
    assert [(task.harness, task.shots) for task in found] == [("lexicon-topic", 0), ("mmlu", 5), ("lambada_openai", 0)]
    assert found[0].chance == pytest.approx(1 / 11)
    assert not TASKS.keys() & PUBLISHED.keys()


@pytest.mark.parametrize(
    ("name", "message"),
    [("arc", "no such task (there are: lexicon-definition"), ("lexicon-synonym", "has no task lexicon-synonym")],
)
def test_a_task_that_is_not_there(folder, name, message):
    with pytest.raises(UserError) as error:
        asked_tasks([name], folder)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"), [(b'{"answer": 0}\nnonsense\n', "line 2 is not JSON"), (b"\xff", "read")]
)
def test_damaged_items_are_named(folder, content, message):
    (folder / "lexicon-topic.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=rf"lexicon-topic\.jsonl: .*{message}"):
        asked_tasks(["lexicon-topic"], folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--tasks", "sciq"], "nowhere: neither a finished run nor an exported model"),
        (["nowhere", "--tasks", ","], "--tasks: expected at least one name"),
        (["nowhere", "--tasks", "sciq", "--limit", "0"], "--limit 0: expected 1 or more"),
        (["nowhere", "--tasks", "lexicon-topic", "--folder", "nothing"], "nothing: no tasks there"),
        (["nowhere", "--tasks", "sciq", "--model", "base"], "leave --model and --seed out"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_none_right_of_ten_is_no_certainty():
    assert agresti_coull_error(0.0, 10) == pytest.approx((1 / 7 * 6 / 7 / 14) ** 0.5)
    assert agresti_coull_error(1.0, 10) == pytest.approx(agresti_coull_error(0.0, 10))
    assert agresti_coull_error(0.3, 10_000) == pytest.approx((0.3 * 0.7 / 10_000) ** 0.5, rel=1e-3)


def scored(estimate, metric="acc", task="lexicon-topic"):
    return [Score(task, metric, estimate, 0.02, 400, 1 / 11)]


def test_scores_are_rows_that_the_next_evaluation_adds_to_or_replaces(tmp_path):
    write_json(tmp_path / "complete.json", {"identity": "one"})
    for seed, estimate in ((0, 0.3), (1, 0.5)):
        store(tmp_path, rows_of(scored(estimate), "sbp", "lexicon", seed, "best"), {"lexicon-topic": {"shots": 0}})
    store(tmp_path, rows_of(scored(0.4), "sbp", "lexicon", 0, "best"), {"lexicon-topic": {"shots": 0}})
    store(tmp_path, rows_of(scored(50.0, "perplexity", "lambada"), "sbp", "lexicon", 0, "final"), {"lambada": {}})
    rows = read_results(tmp_path / "tasks")
    own = {(row.measure, row.seed): row for row in rows}
    assert len(own) == len(rows)
    assert own["task lexicon-topic acc best", 0].estimate == 0.4
    over = own["task lexicon-topic acc best", None]
    assert over.estimate == pytest.approx(0.45) and over.null == pytest.approx(1 / 11) and over.low is not None
    assert own["task lambada perplexity final", 0].unit == "perplexity"
    known = json.loads((tmp_path / "tasks" / "provenance.json").read_text())
    assert set(known["tasks"]) == {"lexicon-topic", "lambada"}

    write_json(tmp_path / "complete.json", {"identity": "another"})
    store(tmp_path, rows_of(scored(0.2), "sbp", "lexicon", 1, "best"), {"lexicon-topic": {}})
    assert {row.seed for row in read_results(tmp_path / "tasks")} == {1, None}
