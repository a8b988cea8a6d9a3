import json

import pytest

from paper_figs.task_table import task_table


def row(subject, estimate, seed, se=0.02, null=0.25, measure="task lexicon-topic acc best"):
    return {
        "measure": measure,
        "subject": subject,
        "world": "lexicon",
        "seed": seed,
        "estimate": estimate,
        "se": None if seed is None else se,
        "n": 500,
        "null": null,
        "low": None,
        "high": None,
    }


@pytest.fixture
def run(tmp_path):
    rows = [row("sbp", 0.4, 0), row("sbp", 0.5, 1), row("sbp", 0.45, None) | {"low": 0.4, "high": 0.5}]
    rows += [row("base", 0.3, 0), row("base", 0.3, None)]
    rows += [row("sbp", 40.0, 0, None, None, "task lambada perplexity best")]
    rows += [row("sbp", 40.0, None, None, None, "task lambada perplexity best")]
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "results.json").write_text(json.dumps(rows))
    for file in ("tasks/provenance.json", "complete.json"):
        (tmp_path / file).write_text(json.dumps({"identity": "abc"}))
    return tmp_path


def test_intervals_over_seeds_or_errors_over_items(run):
    table = task_table(run)
    assert table.header == ["task", "SBP", "base", "chance"]
    assert table.rows[0] == ["lexicon-topic acc best", "0.450 [0.400, 0.500]", "0.300 ± 0.020", "0.250"]
    assert table.rows[1] == ["lambada perplexity best", "40.000", "–", "–"]


@pytest.mark.parametrize("file", ["complete.json", "tasks/provenance.json"])
def test_scores_of_another_run_are_not_shown(run, file):
    (run / file).write_text(json.dumps({"identity": "other"}))
    assert task_table(run).rows == []
    (run / file).unlink()
    assert task_table(run).rows == []
