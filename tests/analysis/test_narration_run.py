"""A whole tiny experiment in the narration world: every stage of the pipeline on text, and what it reports."""

import json
from pathlib import Path

import pytest

from analysis import measures
from analysis.summary import summarise_run
from analysis.world_source import world_of
from paper_figs import qa_accuracy
from paper_figs import tables as t
from paper_figs.report import write_report
from paper_figs.run_files import read_results as read_rows
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.experiment import experiment_from
from sbp_bayes.files import read_json, write_json
from sbp_bayes.graph import in_order, run_stage
from sbp_bayes.plan import plan_seed
from sbp_bayes.results import Result, read_results, write_results
from sbp_bayes.stages import KINDS

TABLES = {
    "name": "narrations",
    "seeds": [0],
    "corpus": {
        "real": 40,
        "validation": 10,
        "heldout": 20,
        "oracle": 60,
        "world": {"name": "narration", "preset": "easy"},
    },
    "tokenizer": {"vocabulary": 600},
    "training": {"epochs": 2, "evaluations": 2, "compile": "off", "batch_tokens": 512, "context": 256},
    "pairing": {"rule": "auto", "shingle": 0, "pairs_per_document": 2},
    "synthesis": {"per_document": 2},
    "synthesizer": {"evaluations": 1},
    "evaluation": {"documents": 30, "examples": 2},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run folder whose one seed went through every stage, with the exact arm's corpus in it."""
    folder = tmp_path_factory.mktemp("runs")
    plan = plan_seed(experiment_from(TABLES), 0)
    for stage in in_order([plan.evaluation]):
        run_stage(stage, KINDS[stage.kind], folder / "stages", "cpu")
    out = folder / "narrations"
    evaluated = plan.evaluation.folder(folder / "stages")
    write_results(out / "seeds" / "0", read_results(evaluated))
    write_json(out / "examples.json", read_json(evaluated / "examples.json"))
    for name, stage in plan.stages.items():
        write_json(out / "where" / f"{name}.json", str(stage.folder(folder / "stages")))
    summarise_run(out)
    return out


@pytest.fixture(scope="module")
def rows(run) -> list[Result]:
    return [row for row in read_results(run) if row.seed == 0]


def found(rows, measure, subject, at=None) -> Result:
    (row,) = [r for r in rows if (r.measure, r.subject, r.at) == (measure, subject, at)]
    return row


def test_the_corpus_is_text_in_a_bpe_vocabulary(run):
    corpus = Path(read_json(run / "where" / "corpus.json"))
    real = Corpus.open(corpus / "real")
    assert real.has_text and "tokens" not in real.columns
    assert len(set(real.lengths.tolist())) > 5
    world = world_of(read_json(corpus / "source.json"))
    assert world.parse(real.column("text").to_pylist()).valid.all()


def test_excess_is_in_nats_a_document_above_the_exact_law_of_texts(rows):
    for arm in ("repetition", "sbp", "random-pairs", "exact", "oracle"):
        loss = found(rows, "heldout_loss final", arm)
        excess = found(rows, "excess_loss final", arm)
        assert excess.estimate == pytest.approx(loss.estimate - loss.null)
        assert 0 < loss.null < 1.5 < excess.estimate  # nearly untrained
        assert found(rows, "excess_loss_per_document final", arm).estimate > 40 * excess.estimate
    floor = found(rows, measures.EXACT_VALIDATION_LOSS, "exact")
    assert floor.estimate == pytest.approx(loss.null, rel=0.1)


def test_questions_gaps_and_facts_are_there_with_their_nulls(rows):
    for arm in ("repetition", "sbp", "random-pairs", "exact", "oracle"):
        for checkpoint in ("final", "best"):
            asked = found(rows, f"qa_accuracy {checkpoint}", arm)
            assert (asked.n, asked.null) == (30, 0.25)
            assert 0 <= asked.estimate <= 1
    ceiling = found(rows, measures.QA_CEILING, "exact").estimate
    assert found(rows, measures.RELATED_QA_ACCURACY, "exact").estimate > ceiling > 0.6
    assert found(rows, measures.RELATED_QA_ACCURACY, "synthesizer").estimate < 0.8
    gap = found(rows, measures.BAYES_GAP, "synthesizer")
    positions = [found(rows, measures.BAYES_GAP_AT_POSITION, "synthesizer", float(i)) for i in range(6)]
    assert sum(r.estimate for r in positions) == pytest.approx(gap.estimate)
    assert positions[0].unit == "nats/sentence"
    assert abs(found(rows, measures.BAYES_GAP, "exact").estimate) < 1e-9
    assert found(rows, measures.BAYES_GAP_FRACTION, "prior").estimate == pytest.approx(1)
    assert gap.estimate > 20 * found(rows, measures.BAYES_GAP, "prior").estimate  # nearly untrained


def test_the_exact_corpus_is_valid_and_keeps_what_exact_bayes_keeps(rows):
    assert found(rows, measures.VALID_DOCUMENTS, "exact").estimate == 1.0
    assert found(rows, measures.VALID_DOCUMENTS, "sbp").estimate < 0.1
    for measure in (measures.FACTS_KEPT, measures.UNTRUE_FACTS):
        row = found(rows, measure, "exact")
        assert abs(row.estimate - row.null) < 5 * row.se
    attribute = found(rows, measures.HALLUCINATION_FLOOR, "world").estimate
    assert 0.03 < attribute < found(rows, measures.HALLUCINATION_FLOOR_PERSON, "world").estimate < 0.6


def test_examples_show_an_exact_text(run):
    examples = json.loads((run / "examples.json").read_text())
    assert len(examples) == 2
    assert all(e["exact"].count(".") >= 6 and e["exact"] != e["d1"] != e["partner"] for e in examples)


def test_the_report_shows_questions_and_facts(run):
    write_json(run / "provenance.json", {})
    write_report(run)
    results = read_rows(run)
    questions = t.questions_table(results)
    assert [row[0] for row in questions.rows][:2] == ["repetition", "SBP"]
    assert questions.rows[-1] == ["chance", "nothing", "25 %", "–"]
    facts = t.facts_table(results)
    assert facts.rows[-1][:2] == ["exact-Bayes text", "100 %"]
    assert t.synthesizers_table(results).header[2] == "nats/sentence"
    page = (run / "report.html").read_text()
    assert "floor of invention" in page and "Questions answered right" in page
    assert (run / "figures" / "qa-accuracy.png").exists()
    assert "exact Bayes" in qa_accuracy.caption(run)
    assert "repetition" in (run / "headline.txt").read_text()
