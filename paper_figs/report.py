"""report.html: one file that shows a run, figures first (entry point group ``sbp_bayes.reporters``)."""

import json
import os
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from paper_figs import (
    adaptive_weight,
    belief_simplex,
    calibration,
    concept_drift,
    concept_posterior,
    exchangeability,
    gap_by_position,
    page,
    pairing_precision,
    qa_accuracy,
    quality_table,
    recovered_share,
    style,
    temperature,
    training_dynamics,
    verdict_table,
)
from paper_figs import tables as t
from paper_figs.alarms import alarms
from paper_figs.compute_table import NOTE as COMPUTE_NOTE
from paper_figs.compute_table import compute_table
from paper_figs.corpus_table import corpus_table
from paper_figs.estimate_table import NOTE as ESTIMATE_NOTE
from paper_figs.estimate_table import estimate_table
from paper_figs.paper_table1 import NOTE as TABLE1_NOTE
from paper_figs.paper_table1 import paper_table1
from paper_figs.run_files import Results, read_examples, read_experiment, read_provenance, read_results
from paper_figs.source_table import NOTE as SOURCE_NOTE
from paper_figs.source_table import source_table
from paper_figs.task_table import NOTE as TASK_NOTE
from paper_figs.task_table import task_table
from paper_figs.wording import count

OF_PREDICTIONS = {
    "calibration": calibration,
    "belief-simplex": belief_simplex,
    "exchangeability": exchangeability,
    "adaptive-weight": adaptive_weight,
    "temperature": temperature,
    "concept-drift": concept_drift,
}
FIGURES = {
    "training-dynamics": training_dynamics,
    "recovered-share": recovered_share,
    "qa-accuracy": qa_accuracy,
    "gap-by-position": gap_by_position,
    "concept-posterior": concept_posterior,
    "pairing-precision": pairing_precision,
    **OF_PREDICTIONS,
}
FACTS_NOTE = (
    "Valid: the world can write the text; a sentence is judged by itself, and facts are read in valid ones. Kept: "
    "where a document and its seed document d1 mention the same attribute, they agree. Untrue: a fact is not true of "
    "d1's person, by invention or by a chance report. "
)
CORPUS_NOTE = "Of the first seed. The corpus stage's dropped.parquet names every document left out and its twin."
EXAMPLE_COLUMNS = (("d1", "d1"), ("exact d2", "exact"), ("synthesized d2", "synthesized"), ("partner of d1", "partner"))


def write_report(run: Path) -> None:
    """Draw the figures of a run into ``figures/`` (SVG and PNG), write ``report.html`` and ``headline.txt``.

    Reads results.json, verdicts.json, metrics/, examples.json, seeds/SEED/pictures.json, experiment.json and
    provenance.json of the run folder, nothing else.
    """
    results = read_results(run)
    body = [
        *_head(run, results),
        *draw_into(run, FIGURES),
        *verdict_table.section(run),
        *_tables(run, results),
        *quality_table.section(run),
        *_examples(run),
        *origin(run),
    ]
    write_page(run, f"{run.name}: {results.label}", body)
    lines = [t.headline(run), *verdict_table.headline(run)]
    (run / "headline.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_page(run: Path, title: str, body: list[str]) -> None:
    """Write ``report.html`` of a run atomically."""
    handle, name = tempfile.mkstemp(dir=run, prefix=".report.")
    with os.fdopen(handle, "w", encoding="utf-8") as temporary:
        temporary.write(page.page(title, body))
    os.chmod(name, 0o644)
    os.replace(name, run / "report.html")


def draw_into(run: Path, figures: Mapping[str, Any]) -> list[str]:
    """Draw and save every figure the run has the files for; each as HTML with its sentence.

    figures: name -> module with ``draw(run)``, None where the run lacks what it shows, and ``caption(run)``.
    """
    drawn = []
    for name, module in figures.items():
        figure = module.draw(run)
        if figure is not None:
            svg = style.save(figure, run / "figures", name)
            drawn.append(page.inline_figure(svg, module.caption(run)))
    return drawn


def _head(run: Path, results: Results) -> list[str]:
    n = count(len(results.seeds), "seed")
    about = [f"{results.label}, {n}", t.information_line(results)]
    head = [f"<h1>{escape(run.name)}</h1>", f'<p class="muted">{escape("; ".join(filter(None, about)))}</p>']
    remarks = [*alarms(results), *recovered_share.undefined_shares(results), *recovered_share.adverse_seeds(results)]
    head += [f'<p class="warning">{escape(sentence)}</p>' for sentence in remarks]
    return head


def _tables(run: Path, results: Results) -> list[str]:
    unit = "Nats a token; mean over seeds with 95 % bootstrap intervals."
    sections = [
        ("Arms", t.arms_table(results), f"{unit} Recovered: share of the oracle's gain over repetition."),
        ("Gain over repetition at the end of the budget", t.gains_table(results), "Nats a token below repetition."),
        ("Compute", compute_table(read_provenance(run)), COMPUTE_NOTE),
        ("Table 1 of the paper", paper_table1(results), TABLE1_NOTE),
        ("Questions", t.questions_table(results), "Multiple choice by log-likelihood, mean over seeds."),
        ("Held-out perplexity by source", source_table(results), SOURCE_NOTE),
        ("Tasks", task_table(run), TASK_NOTE),
        ("What synthetic documents say", t.facts_table(results), FACTS_NOTE + t.floor_line(results)),
        ("Bayes gap", t.synthesizers_table(results), "KL from the exact predictive p(d2|d1); 0 is exact Bayes."),
        ("The world", t.world_table(results), "What one document tells of its concept and of a related document."),
        ("Corpus", corpus_table(read_provenance(run)), CORPUS_NOTE),
        ("Pairs", t.pairs_table(results), "Precision: pairs whose documents share their concept or headword."),
    ]
    body = []
    for title, shown, note in sections:
        if shown.rows:
            table = page.table(shown.header, shown.rows, shown.words)
            body += [f"<h2>{escape(title)}</h2>", f'<p class="muted">{escape(note)}</p>', table]
    expected = estimate_table(read_provenance(run))
    if expected.rows:
        table = page.table(expected.header, expected.rows, expected.words)
        body += ["<h2>Expected and spent</h2>", page.folded(ESTIMATE_NOTE, table)]
    ledger = t.ledger_table(read_provenance(run))
    if ledger.rows:
        total = f"all stages: {ledger.rows[-1][2]} tokens, {ledger.rows[-1][3]} FLOPs"
        body += ["<h2>Ledger</h2>", page.folded(total, page.table(ledger.header, ledger.rows, ledger.words))]
    return body


def _examples(run: Path) -> list[str]:
    examples = read_examples(run)
    if not examples:
        return []
    body = ["<h2>Example documents</h2>"]
    for example in examples[:12]:
        posterior = example["posterior"]
        about = f"seed {example['seed']}"
        if posterior:
            about += f", concept {posterior['concept']}, H(c|d1) = {posterior['entropy']:.2f} nats"
        columns = [(title, example[key]) for title, key in EXAMPLE_COLUMNS if example[key] is not None]
        body += [f'<p class="muted">{escape(about)}</p>', page.examples(columns)]
    return body


def origin(run: Path) -> list[str]:
    """Configuration and provenance as they were written; ledger and estimate have tables."""
    provenance = {
        key: value for key, value in read_provenance(run).items() if key not in ("ledger", "stages", "estimate")
    }
    body = []
    for title, value in (("Configuration", read_experiment(run)), ("Provenance", provenance)):
        if value:
            text = escape(json.dumps(value, indent=1, ensure_ascii=False))
            body += [f"<h2>{title}</h2>", page.folded("show", f"<pre>{text}</pre>")]
    return body
