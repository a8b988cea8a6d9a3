import json

import pytest

from sbp_bayes.cli import main
from sbp_bayes.errors import UserError
from sbp_bayes.sweep import cells_of

BASE = {"name": "s", "seeds": [0], "corpus": {"real": 40, "oracle": 40, "world": {"name": "bow", "preset": "medium"}}}


def sweep(**blocks):
    return cells_of({**BASE, "sweep": blocks}, "s")


def test_a_block_is_every_combination_and_blocks_follow_one_another():
    cells = sweep(
        grid={"model": {"size": ["0.1M", "1M"]}, "corpus": {"world": {"preset": ["easy", "hard"]}}},
        null={"corpus": {"world": {"preset": "null"}}},
    )
    assert [c.name for c in cells] == ["grid-0.1M-easy", "grid-0.1M-hard", "grid-1M-easy", "grid-1M-hard", "null"]
    assert [c.config.model.size for c in cells] == ["0.1M", "0.1M", "1M", "1M", "0.1M"]
    assert [c.config.corpus.options["preset"] for c in cells] == ["easy", "hard", "easy", "hard", "null"]
    assert cells[1].values == {"model.size": "0.1M", "corpus.world.preset": "hard"}
    assert all(c.config.corpus.options["name"] == "bow" for c in cells)


def test_a_key_that_takes_a_list_varies_over_lists_in_a_list():
    assert sweep(one={"seeds": [3, 4]})[0].config.seeds == [3, 4]
    assert [c.config.seeds for c in sweep(two={"seeds": [[3], [4, 5]]})] == [[3], [4, 5]]
    assert sweep(none={"arms": {"names": []}})[0].config.arms.names == []


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({}, "expected tables"),
        ({"a": 3}, "sweep.a: expected a table"),
        ({"synthesizer": {"steps": [1, 2]}}, "sweep.synthesizer: a block has a name first"),
        ({"a": {"model": {"size": []}}}, "at least one value"),
        ({"a": {"model": {"width": [3]}}}, "sweep cell a: model.width: unknown key"),
        ({"a": {"training": {"epochs": [1, -1]}}}, "sweep cell a--1: training.epochs = -1"),
        ({"a": {"model": {"size": ["1M", "1M"]}}}, "two cells are called a-1M"),
        ({"a": {"corpus": {"real": list(range(20000))}}}, "at most 10000"),
        ({"a": {"name": {"b": 1}}}, "sweep cell a: name.b: name is a value, not a table"),
    ],
)
def test_a_slip_is_named(blocks, message):
    with pytest.raises(UserError) as error:
        sweep(**blocks)
    assert message in str(error.value)


def test_cells_are_run_folders_that_share_stages(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(
        """
        seeds = [0, 1]
        [corpus]
        real = 64
        validation = 8
        heldout = 16
        oracle = 64
        [corpus.world]
        name = "bow"
        length = 4
        vocabulary = 8
        [training]
        epochs = 1
        [synthesizer]
        steps = 2
        heldout_share = 0.4
        [arms]
        names = []
        [evaluation]
        documents = 8
        [sweep.noise]
        pairing.wrong = [0.0, 0.5]
        """
    )
    assert main(["run", str(file), "--out", str(tmp_path / "runs"), "--workers", "1"]) == 0
    run = tmp_path / "runs" / "small"
    assert json.loads((run / "cells.json").read_text()) == {
        "noise-0.0": {"block": "noise", "pairing.wrong": 0.0},
        "noise-0.5": {"block": "noise", "pairing.wrong": 0.5},
    }
    stages = [
        json.loads((run / "cells" / cell / "seeds" / seed / "stages.json").read_text())
        for cell in ("noise-0.0", "noise-0.5")
        for seed in "01"
    ]
    assert stages[0]["model/base"] == stages[2]["model/base"]
    assert stages[0]["pairs/related"] != stages[2]["pairs/related"]
    rows = json.loads((run / "results.json").read_text())
    gaps = [row for row in rows if row["measure"] == "bayes_gap" and row["subject"] == "synthesizer"]
    assert {(row["cell"], row["seed"]) for row in gaps} == {
        (cell, seed) for cell in ("noise-0.0", "noise-0.5") for seed in (0, 1, None)
    }
    assert (run / "report.html").exists()
