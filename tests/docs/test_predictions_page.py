"""docs/predictions.md is what the code says, and its example judges a synthesizer of one's own."""

import re
from pathlib import Path

import torch

from analysis.predictions.margins import margins
from analysis.predictions.page import with_sections

PAGE = Path(__file__).parents[2] / "docs" / "predictions.md"


def test_the_page_has_what_the_code_says():
    """``python -m analysis.predictions.page`` writes it anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert with_sections(text) == text
    assert all(f"| {quantity} |" in text for rows in margins().values() for quantity in rows)


def test_the_example_refutes_a_synthesizer_that_hedges(capsys):
    torch.set_num_threads(1)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(compile(code, str(PAGE), "exec"), names)
    refuted = {(row.prediction, row.quantity) for row in names["verdicts"] if row.verdict == "REFUTED"}
    assert {("P1", "gap"), ("P5", "concept kept"), ("P7", "share of wrong pairs")} <= refuted
    assert capsys.readouterr().out.count("REFUTED") == 5
