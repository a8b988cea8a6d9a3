import re
import shutil
from html.parser import HTMLParser

import pytest

from paper_figs import tables
from paper_figs.report import write_report
from paper_figs.run_files import read_results

VOID = {"meta", "br", "path", "use", "rect", "img", "hr"}


class Balanced(HTMLParser):
    """Collects what is wrong with the nesting of tags."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def html(run, tmp_path_factory) -> str:
    copy = shutil.copytree(run, tmp_path_factory.mktemp("report") / "tiny")
    write_report(copy)
    assert not list(copy.glob(".report*"))
    return (copy / "report.html").read_text(encoding="utf-8")


def test_needs_nothing_from_anywhere(html):
    """Namespaces and identifiers inside the SVG are names, not fetches."""
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", html)
    assert not re.search(r"<(script|link|iframe|img|object)\b", html)
    assert "@import" not in html and "url(http" not in html


def test_text_is_escaped(html):
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#x27;not escaped&#x27;)&lt;/script&gt; &amp; 3" in html


def test_is_well_formed(html):
    parser = Balanced()
    parser.feed(html)
    assert parser.wrong == [] and parser.open == []


def test_figures_come_first_then_tables_examples_configuration(html):
    marks = ["<figure>", "<h2>Arms</h2>", "<h2>Bayes gap</h2>", "<h2>Ledger</h2>", "<h2>Example documents</h2>"]
    places = [html.index(mark) for mark in [*marks, "<h2>Configuration</h2>", "<h2>Provenance</h2>"]]
    assert places == sorted(places)
    assert html.count("<svg") == html.count("<figcaption>") == 4


def test_a_seed_that_went_the_other_way_is_said_at_the_top(html):
    warning = html.index("SBP did not beat random pairs in seed 2 (of 3).")
    assert warning < html.index("<figure>")


def test_drawings_follow_light_and_dark(html):
    assert "prefers-color-scheme: dark" in html
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert all("currentColor" in drawing and "#1d1d1f" not in drawing.lower() for drawing in drawings)
    assert 'name="viewport"' in html


def test_headline_has_every_arm_and_the_interval(run):
    text = tables.headline(run)
    assert "3 seeds" in text.splitlines()[0]
    assert "H(c|d1) = 0.9" in text
    for arm in ("repetition", "SBP", "SBP (random pairs)", "exact-Bayes text", "oracle", "SBP less random pairs"):
        assert any(line.startswith(f"{arm} ") for line in text.splitlines())
    assert text.splitlines()[-1] == "SBP did not beat random pairs in seed 2 (of 3)."


def test_tables_say_infinite_and_undefined(run):
    rows = [dict(row) for row in read_results(run).rows]
    for row in rows:
        if row["subject"] == "MAP":
            row.update(estimate=None)
        if row["measure"] == "bayes_gap_fraction" and row["subject"] == "prior":
            row.update(estimate=None)
    shown = {row[0]: row[1:] for row in tables.synthesizers_table(type(read_results(run))(rows)).rows}
    assert shown["MAP (one concept)"] == ["infinite"] * 3
    assert shown["prior (ignores d1)"][2].startswith("undefined")


def test_ledger_adds_up(run):
    provenance = {"ledger": [{"stage": "a", "kind": "training", "tokens": 1000, "flops": 1e9, "seconds": 2.0}] * 3}
    assert tables.ledger_table(provenance).rows[-1][2:4] == ["3,000", "3.00e+09"]
    assert tables.ledger_table({}).rows == []


@pytest.mark.parametrize("name", ["provenance.json", "experiment.json", "examples.json", "metrics/0/arm sbp.jsonl"])
def test_a_damaged_file_is_named_in_one_line(run, tmp_path, name):
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / name).write_text('{"half": ')
    with pytest.raises(ValueError, match="damaged, not readable as JSON") as caught:
        write_report(copy)
    assert caught.value.bad_input and name in str(caught.value) and "\n" not in str(caught.value)
