"""report.html of a sweep: figures over its cells first, then one line a cell (``sbp_bayes.sweep_reporters``)."""

import json
from html import escape
from pathlib import Path

from paper_figs import copy_rate, learning_curve, names, page, verdict_matrix, verdict_table
from paper_figs.alarms import alarms
from paper_figs.report import OF_PREDICTIONS, draw_into, origin, write_page
from paper_figs.run_files import Results, read_cells, read_results
from paper_figs.tables import Table
from paper_figs.wording import count, interval, nats, percent

FIGURES = {"verdict-matrix": verdict_matrix, "learning-curve": learning_curve, **OF_PREDICTIONS, "copy-rate": copy_rate}


def write_sweep_report(run: Path) -> None:
    """Draw the figures of a sweep into ``figures/``, write ``report.html`` and ``headline.txt``.

    Reads results.json, verdicts.json, cells.json, experiment.json and the cells' pictures.json, nothing else.
    """
    results, cells = read_results(run), read_cells(run)
    head = f"{count(len(cells), 'cell')}, {count(len(results.seeds), 'seed')}"
    table = cells_table(results, cells)
    body = [
        f"<h1>{escape(run.name)}</h1>",
        f'<p class="muted">{escape(head)}: {escape(results.label)}</p>',
        *[f'<p class="warning">{escape(sentence)}</p>' for sentence in alarms(results)],
        *draw_into(run, FIGURES),
        *verdict_table.section(run),
        "<h2>Cells</h2>",
        '<p class="muted">Bayes gap: KL of the synthesizer from the exact predictive p(d2|d1), 0 is exact Bayes; mean '
        "over seeds with 95 % bootstrap intervals. A share of 100 % is what ignoring d1 costs.</p>",
        page.table(table.header, table.rows, table.words),
        *origin(run),
    ]
    write_page(run, f"{run.name}: {head}", body)
    lines = [f"{run.name}: {head}", *verdict_table.headline(run)]
    (run / "headline.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def cells_table(results: Results, cells: dict[str, dict]) -> Table:
    """One row a cell: what it sets, its synthesizer's Bayes gap, and what SBP recovered where arms were trained."""
    rows = []
    for cell, values in cells.items():
        own = Results([row for row in results.rows if row["cell"] == cell])
        found = [
            own.over_seeds(measure, names.SYNTHESIZER)
            for measure in (names.BAYES_GAP, names.BAYES_GAP_PER_TOKEN, names.BAYES_GAP_FRACTION)
        ]
        shown = [interval(row, form) for row, form in zip(found, (nats, nats, percent), strict=True)]
        recovered = own.over_seeds(names.at_checkpoint(names.RECOVERED, names.FINAL), names.SBP)
        settings = "; ".join(f"{k.rpartition('.')[2]} {_plain(v)}" for k, v in values.items() if k != "block")
        rows.append([cell, settings, *shown, interval(recovered, percent)])
    header = ["cell", "settings", "nats/document", "nats/token", "share of I(d1;d2)", "SBP recovered, end"]
    return Table(header, rows, words=2)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
