"""Both sizes of every world have a row, and a curve that was not fitted keeps its points."""

from dataclasses import asdict
from pathlib import Path

import pytest

from paper_figs import learning_curve, names
from paper_figs.findings_tables import STORED, _curves, plain_cells, tables
from paper_figs.run_files import Results, read_verdicts
from paper_figs.wording import about
from sbp_bayes.experiment import load_tables
from sbp_bayes.results import Result, write_results
from sbp_bayes.sweep import cells_of

STUDY = Path(__file__).parents[2] / "experiments" / "bayes.toml"


def test_every_world_of_the_study_has_a_row_for_each_size():
    tables = load_tables(STUDY, [])
    cells = {cell.name: {"block": cell.block, **cell.values} for cell in cells_of(tables, "bayes")}
    found = list(plain_cells(cells, tables).values())
    expected = [(f"{w} {p}", s) for p in ("medium", "hard") for w in ("W1", "W4", "W5") for s in ("0.03M", "0.1M")]
    assert found == expected + [(f"{w} null", "0.1M") for w in ("W1", "W4", "W5")]


def rows(seeds: int, sizes: dict[str, bool]) -> list[Result]:
    """Curves in a hard and a medium world. sizes: size -> whether its curve was fitted."""
    found = []
    for world in ("bow-medium", "bow-hard"):
        for size, fitted in sizes.items():
            subject = f"{names.SYNTHESIZER} {size}"
            for seed in range(seeds):
                for pairs in (2047.0, 8190.0, 131072.0):
                    gap = 30 * pairs**-0.8
                    found.append(
                        Result(names.LEARNING_CURVE, subject, world, seed, gap, None, 1, 0, "bits/token", pairs)
                    )
                found.append(
                    Result(names.BAYES_GAP_PER_TOKEN, names.SYNTHESIZER, world, seed, 0.1, None, 64, 0, "nats/token")
                )
            bounds = (0.0, 0.9) if seeds > 1 else (None, None)
            fits = {
                names.LEARNING_CURVE_FLOOR: 0.0,
                names.LEARNING_CURVE_SCALE: 30.0,
                names.LEARNING_CURVE_EXPONENT: 0.8,
            }
            for measure, value in fits.items() if fitted else ():
                found.append(Result(measure, subject, world, None, value, None, seeds, None, "", None, *bounds))
    return found


def test_figure_and_table_show_every_size_in_every_world(tmp_path):
    found = rows(3, {"0.03M": True, "0.1M": True})
    write_results(tmp_path, found)
    drawn = learning_curve.draw(tmp_path)
    for axes in drawn.axes:
        assert {line.get_label() for line in axes.get_lines()} >= {"synthesizer 0.03M", "synthesizer 0.1M"}
    assert [label.get_text() for label in drawn.axes[0].get_xticklabels()] == ["2k", "8.2k", "130k"]
    assert "bow-hard, 0.03M: exponent 0.8 [0, 0.9]" in learning_curve.caption(tmp_path)
    table = _curves(Results([asdict(row) for row in found]))
    assert table.count("bow-hard | synthesizer 0.") == 2 and "(130k)" in table


def test_the_caption_of_one_seed_claims_no_interval(tmp_path):
    write_results(tmp_path, rows(1, {"0.1M": True}))
    said = learning_curve.caption(tmp_path)
    assert "exponent 0.8, floor 0;" in said and "1 seed" in said
    assert "bootstrap" not in said and "%" not in said and "told from 0" not in said
    write_results(tmp_path, rows(2, {"0.1M": True}))
    assert "bootstrap over seeds" in learning_curve.caption(tmp_path)


def test_a_curve_without_a_fit_keeps_its_dots_and_says_so(tmp_path):
    found = rows(2, {"0.03M": True, "0.1M": False})
    write_results(tmp_path, found)
    assert "bow-hard, 0.1M: not fitted" in learning_curve.caption(tmp_path)
    (axes, _) = learning_curve.draw(tmp_path).axes
    assert sorted(len(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) > 2) == [6, 6, 100]
    assert "| bow-hard | synthesizer 0.1M | 0.0673 (2k), 0.0222 (8.2k), 0.0024 (130k) | – | – |" in _curves(
        Results([asdict(row) for row in found])
    )


@pytest.mark.parametrize("n, words", [(980, "980"), (999, "1k"), (2046, "2k"), (131072, "130k"), (1.5e6, "1,500k")])
def test_large_numbers_are_rounded(n, words):
    assert about(n) == words


def test_the_verdicts_on_the_gain_are_shown_with_their_margins():
    """They are of no cell and no synthesizer, and are easily left out."""
    judged = [row for row in read_verdicts(STORED) if row["prediction"] == "P12"]
    shown = [line for line in tables().splitlines() if "| P12 " in line]
    assert judged and len(shown) == len(judged)
    for row, line in zip(judged, shown, strict=True):
        assert line.startswith(f"| {row['verdict'][0]} |") and row["quantity"] in line and row["world"] in line
