from pathlib import Path

import pytest

from analysis import measures
from analysis.rows import Rows
from analysis.summary import summarise_run
from paper_figs.quality_table import further_table, novelty_table, section, table_2
from paper_figs.run_files import read_published, read_results
from sbp_bayes.files import write_json
from sbp_bayes.results import write_results

UNJUDGED = f"{measures.TEXT_UNJUDGED} {measures.TEXT_IRRELEVANT}"


def write_seed(run: Path, seed: int) -> None:
    rows = Rows("entries", seed)
    for subject, better in (("sbp", 0.0), ("random-pairs", 0.01), ("real", 0.02)):
        share = 0.1 - better + 0.01 * seed
        for at in (5.0, 13.0):
            rows.add(measures.TEXT_REPETITION, subject, share * 5 / at, 0.01, 500, None, "share of documents", at)
        rows.add(measures.TEXT_DUPLICATES, subject, share / 10, 0.01, 1300, None, "share of documents")
        for n in range(1, 14):
            rows.add(measures.TEXT_NOVELTY_TO_CORPUS, subject, n / 20, 0.01, 500, None, "share of runs", float(n))
        rows.add(f"{measures.TEXT_LOSS} arm oracle", subject, 2.0, 0.01, 500, None, "nats/token")
    rows.add(measures.TEXT_IRRELEVANT, "sbp", 0.25, 0.01, 200, None, "share of documents")
    rows.add(UNJUDGED, "sbp", 0.125, None, 200, 0.0, "share of documents")
    rows.add(measures.TEXT_HEADWORD, "sbp", 0.75, 0.01, 200, 0.02, "share of documents")
    rows.add(f"{measures.TEXT_REJECTED} repeats itself", "sbp", 0.04, 0.01, 900, None, "share of documents")
    write_results(run / "seeds" / str(seed), rows.results)
    write_json(run / "seeds" / str(seed) / "examples.json", [])


@pytest.fixture(scope="module")
def text_run(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("text run")
    for seed in (0, 1):
        write_seed(run, seed)
    summarise_run(run)
    return run


def test_our_columns_stand_before_the_published_ones(text_run):
    shown = table_2(read_results(text_run), ["sbp", "random-pairs", "real"])
    assert shown.header[1:4] == ["SBP", "SBP (random pairs)", "real"]
    assert shown.header[4:] == ["paper, 200B 3B", "paper, 1T 3B", "paper, 1T 6B", "paper, real"]
    rows = {row[0]: row[1:] for row in shown.rows}
    assert list(rows) == ["repetition", "duplicates", "non-factual", "pair-irrelevance", "pair-copying"]
    assert rows["repetition"][0].startswith("4.0 % [")  # the run of 13, not of 5
    assert rows["repetition"][3:] == ["4.3 % (A)", "3.9 % (A)", "2.6 % (A)", "1.8 % (A)"]
    assert rows["pair-irrelevance"][0].startswith("25.0 %") and rows["pair-irrelevance"][1:3] == ["–", "–"]
    assert rows["pair-irrelevance"][-1] == "–" and rows["non-factual"][:3] == ["–"] * 3


def test_the_other_rows_are_those_the_run_has(text_run):
    results = read_results(text_run)
    rows = {row[0]: row[1:] for row in further_table(results, ["sbp", "real"]).rows}
    assert rows["perplexity under arm oracle"][1].startswith("7.39")
    assert rows["nearest headword is d1's"][0].endswith("(2.0 %)") and rows["nearest headword is d1's"][1] == "–"
    assert rows["left out: repeats itself"][0].startswith("4.0 %")
    assert rows["unjudged: pair-irrelevance"][0].startswith("12.5 %")
    assert "copying of D" not in rows
    found = novelty_table(results, ["sbp"])
    assert found.header[-1] == "13" and found.rows == [["SBP", "D", *(f"{5 * n:.1f} %" for n in range(1, 14))]]


def test_the_section_says_among_how_many_duplicates_were_sought_and_is_empty_without_text(text_run, run):
    html = "".join(section(text_run))
    assert "1,300 documents" in html and "<h2>Synthetic text (Table 2)</h2>" in html
    assert section(run) == []


def test_every_published_number_has_its_certainty_and_source():
    published = read_published("table2")
    assert len(published) == 18
    assert all(row["certainty"] in "ABC" and "Table 2" in row["source"] and float(row["percent"]) for row in published)
