"""Published numbers carry certainty and source; what stands in the tables is what figures write."""

import csv
import dataclasses
from pathlib import Path

import pytest

from paper_figs.figures import architecture, table1, table2
from paper_figs.figures.published import statements
from paper_figs.run_files import PUBLISHED, read_published
from sbp_bayes.model.sizes import SIZES

COMMITTED = Path(__file__).parents[2] / "experiments" / "results"
OF_SIZE = {
    "layers": "layers",
    "width": "width",
    "query heads": "heads",
    "key-value heads": "kv_heads",
    "SwiGLU width": "hidden",
    "RoPE theta": "rope_theta",
}


@pytest.mark.parametrize("file", sorted(PUBLISHED.glob("*.csv")), ids=lambda file: file.stem)
def test_published_numbers_carry_certainty_and_source(file):
    rows = read_published(file.stem)
    assert rows
    for row in rows:
        assert row["certainty"] in ("A", "B", "C"), row
        assert row["source"].startswith("arXiv 2509.15248, "), row
        assert None not in row and None not in row.values(), row


def test_shares_of_synthetic_text_agree_with_epochs_and_budgets():
    """Epochs of D under SBP are what the share leaves of those under repetition."""
    rows = {(row["quantity"], row["scale"], row["model"]): float(row["value"]) for row in read_published("mixture")}
    scales = {key[1:] for key in rows}
    assert len(scales) == 3
    for scale in scales:
        share = rows["synthetic share", *scale] / 100
        repeated = rows["epochs of real data under repetition", *scale]
        assert rows["epochs of real data under SBP", *scale] == pytest.approx((1 - share) * repeated)
        tokens = {"200B tokens": 200, "1T tokens": 1000}[scale[0]]
        assert rows["unique real tokens", *scale] * repeated == tokens


def test_sizes_are_those_of_the_dial():
    with architecture.SIZES.open(newline="") as file:
        ours = {row.pop("model"): row for row in csv.DictReader(file)}
    shapes = {name: dataclasses.asdict(size) for name, size in SIZES.items()}
    expected = {name: {k: str(int(shape[v])) for k, v in OF_SIZE.items()} for name, shape in shapes.items()}
    assert ours == expected


def test_architecture_stands_beside_the_published_shapes():
    shown = architecture.table()
    rows = {row[0]: dict(zip(shown.header[1:], row[1:], strict=True)) for row in shown.rows}
    assert rows["layers"]["paper 3B"] == "26 (B)" and rows["layers"]["3B"] == "26"
    assert rows["SwiGLU width"]["paper 6B"] == "–" and rows["vocabulary"]["3B"] == "–"
    assert "agree wherever both are known" in architecture.caption(COMMITTED)


def test_table_1_has_ours_above_the_published_rows():
    shown = table1.table(COMMITTED)
    assert shown.rows[0][0].startswith("demo, end") and shown.rows[0][2] == "measured"
    published = [row for row in shown.rows if row[0].startswith("paper")]
    assert len(published) == len(read_published("table1"))
    assert published[-1] == [
        "paper, 1T, 6B", "average QA, accuracy %", "A", "58.29", "+1.32", "–", "+2.26", "58 %",
    ]  # fmt: skip
    assert "the paper's 42 %, 48 % and 58 %" in table1.caption(COMMITTED)


def test_table_2_needs_text_whose_quality_was_measured(tmp_path):
    assert table2.draw(tmp_path) is None and table2.caption(tmp_path) is None


def test_statements_carry_their_certainty():
    assert statements("two-epoch-check").endswith("about twice (C).")
    assert statements("mixture-sweeps").count("(A)") == 2
    assert statements("workflow") == ""
