"""The tables of docs/findings.md, drawn from the stored results of a study (`experiments/results/`).

``python -m paper_figs.findings_tables RUN`` stores what the tables and figures need of a finished sweep in
``experiments/results/NAME/`` and writes the tables between the markers of docs/findings.md; without RUN the tables are
written again from what is stored.
"""

import json
import shutil
import sys
from pathlib import Path

from paper_figs import names
from paper_figs.run_files import Results, read_cells, read_experiment, read_results, read_verdicts
from paper_figs.verdict_table import VERDICTS
from paper_figs.wording import about, interval, nats, percent

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "findings.md"
STORED = ROOT / "experiments" / "results" / "bayes"
START, END = "<!-- tables: python -m paper_figs.findings_tables -->", "<!-- end of tables -->"
KEPT = (names.BAYES_GAP_PER_TOKEN, names.BAYES_GAP, names.PAIR_INFORMATION, names.CONCEPT_ENTROPY, names.LOG_CONCEPTS)
# Blocks of cells with plain pairs that the predictions were put to, as the page orders them; worlds as it calls them.
PLAIN_BLOCKS = ("pairs64k-long", "pairs64k", "hard64k", "null")
WORLDS = {"bow": "W1", "hmm": "W4", "style": "W5"}
LARGEST = "0.1M"
SPECIAL = {  # what cells of other pairs are there for
    "wrong": ("P7",),
    "copies": ("P8",),
    "shared": ("P6", "P9"),
    "rules": ("P9",),
    "prior": ("P11",),
    "pool": ("P11",),
    "several": ("P14",),
}
BOOTSTRAP = (
    "95 % bootstrap intervals over seeds (of three the whole range, which covers a mean only three times in four)"
)
CHECKPOINTS = (names.FINAL, names.BEST)
QUANTITY = ("quantity", "found [90 %]", "exact Bayes", "margin", "in margins")
LETTERS = {verdict: verdict[0] for verdict in VERDICTS}


def store(run: Path) -> None:
    """Keep the verdicts, the rows over seeds and what each cell sets of ``run`` in the repository."""
    STORED.mkdir(parents=True, exist_ok=True)
    for name in ("verdicts.json", "cells.json", "experiment.json"):
        shutil.copy(run / name, STORED / name)
    curves = (names.LEARNING_CURVE, names.LEARNING_CURVE_FLOOR, names.LEARNING_CURVE_EXPONENT)
    gains = [names.at_checkpoint(m, c) for m in (names.RECOVERED, names.GAIN) for c in CHECKPOINTS]
    rows = [r for r in read_results(run).rows if r["measure"] in (*curves, *gains, *KEPT)]
    rows = [r for r in rows if r["seed"] is None or r["measure"] == names.LEARNING_CURVE]
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    (STORED / "results.json").write_text(text, encoding="utf-8")


def tables() -> str:
    """All tables in Markdown, from what is stored."""
    verdicts, results = read_verdicts(STORED), read_results(STORED)
    shown = plain_cells(read_cells(STORED), read_experiment(STORED))
    of_largest = {cell: title for cell, (title, size) in shown.items() if size == LARGEST}
    parts = [
        "### Verdicts by world",
        "R refuted, I inconclusive, S supported, C a control that was not refuted, empty: does not apply; sizes are "
        "numbers of parameters.",
        _matrix(verdicts, {cell: f"{title}, {size}" for cell, (title, size) in shown.items()}),
        "### What decided, refuted predictions first",
        "Of each prediction the quantity furthest from exact Bayes, in margins (within −1 and 1 counts as equal); "
        f"synthesizers of {LARGEST} parameters.",
        _deciding(verdicts, of_largest),
        "### Synthesizers of other pairs",
        _special(verdicts),
        "### The Bayes gap against the number of pairs",
        f"Bits a token, mean over seeds; the fit is floor + scale x pairs^−exponent, {BOOTSTRAP}.",
        _curves(results),
        "### The gain for pretraining (P12)",
        f"Share of the oracle's gain recovered, {BOOTSTRAP}. H(c given d1) in nats and in shares of log C.",
        _gains(results),
        "P12 judges the best checkpoint; intervals are Student's t over seeds, "
        "in place of exact Bayes stands what is expected.",
        _gain_law(verdicts),
    ]
    return "\n\n".join(parts)


def write_page() -> None:
    """Put the tables between the markers of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}\n\n{tables()}\n\n{END}{after}", encoding="utf-8")


def plain_cells(cells: dict[str, dict], experiment: dict) -> dict[str, tuple[str, str]]:
    """Cell -> its world as the page calls it and the size of its synthesizer, of the cells of `PLAIN_BLOCKS`.

    cells: the values that each cell sets; what it doesn't is the experiment's.
    """
    of_all = experiment["corpus"]["world"]
    found = {}
    for block in PLAIN_BLOCKS:
        for cell, values in cells.items():
            if values["block"] == block:
                world = WORLDS[values.get("corpus.world.name", of_all["name"])]
                preset = values.get("corpus.world.preset", of_all["preset"])
                found[cell] = f"{world} {preset}", values.get("model.size", LARGEST)
    order = {title: i for i, title in enumerate(dict.fromkeys(_preset(title) for title, _ in found.values()))}
    return dict(sorted(found.items(), key=lambda item: (order[_preset(item[1][0])], *item[1])))


def _preset(title: str) -> str:
    return title.partition(" ")[2]


def _matrix(verdicts: list[dict], cells: dict[str, str]) -> str:
    of = {(r["cell"], r["prediction"]): LETTERS[r["prediction_verdict"]] for r in _ours(verdicts)}
    predictions = _predictions(verdicts, cells)
    rows = [[title, *[of.get((cell, p), "") for p in predictions]] for cell, title in cells.items()]
    return _table(["world", *predictions], rows)


def _deciding(verdicts: list[dict], cells: dict[str, str]) -> str:
    rows = [(LETTERS[r["prediction_verdict"]], *_entry(r, cells)) for r in _furthest(verdicts, cells)]
    return _table(["", "prediction", "world", *QUANTITY], rows)


def _special(verdicts: list[dict]) -> str:
    rows = []
    for row in _sorted(_ours(verdicts)):
        block = row["cell"].partition("-")[0]
        if row["prediction"] in SPECIAL.get(block, ()):
            rows.append((LETTERS[row["verdict"]], *_entry(row, {row["cell"]: row["cell"]})))
    return _table(["", "prediction", "cell", *QUANTITY], rows)


def _curves(results: Results) -> str:
    rows = []
    for world, subject in dict.fromkeys((r["world"], r["subject"]) for r in results.of(names.LEARNING_CURVE)):
        own = [r for r in results.of(names.LEARNING_CURVE, subject) if r["world"] == world]
        at = sorted({r["at"] for r in own})
        means = [_mean([r["estimate"] for r in own if r["at"] == a]) for a in at]
        shown = ", ".join(f"{mean:.4f} ({about(a)})" for a, mean in zip(at, means, strict=True))
        fitted = [
            next((r for r in results.of(measure, subject) if r["world"] == world), None)
            for measure in (names.LEARNING_CURVE_EXPONENT, names.LEARNING_CURVE_FLOOR)
        ]
        rows.append([world, subject, shown, *[interval(row, nats) for row in fitted]])
    return _table(["world", "synthesizer", "gap (pairs)", "exponent", "floor"], rows)


def _gains(results: Results) -> str:
    rows = []
    for cell in dict.fromkeys(r["cell"] for r in results.of(names.at_checkpoint(names.RECOVERED, names.FINAL))):
        own = Results([r for r in results.rows if r["cell"] == cell])
        known, most = (own.over_seeds(measure, "world") for measure in (names.CONCEPT_ENTROPY, names.LOG_CONCEPTS))
        share = f" ({percent(known['estimate'] / most['estimate'])})" if known and most else ""
        line = [own.label, f"{nats(known['estimate'])}{share}" if known else "–"]
        for subject in (names.SBP, names.RANDOM_PAIRS, names.SBP_MINUS_RANDOM_PAIRS):
            for checkpoint in (names.FINAL, names.BEST):
                line.append(
                    interval(own.over_seeds(names.at_checkpoint(names.RECOVERED, checkpoint), subject), percent)
                )
        rows.append(line)
    header = ["world", "H(c given d1)", "SBP, end", "best", "random pairs, end", "best", "difference, end", "best"]
    return _table(header, rows)


def _gain_law(verdicts: list[dict]) -> str:
    """P12's quantities: of arms in one or two worlds, not of a synthesizer in a cell."""
    gains = [r for r in verdicts if r["subject"] == names.SBP_MINUS_RANDOM_PAIRS]
    rows = [(LETTERS[r["verdict"]], *_entry(r, {None: r["world"]})) for r in gains]
    return _table(["", "prediction", "worlds", *QUANTITY], rows)


def _entry(row: dict, cells: dict[str, str]) -> list[str]:
    found = "infinite" if row["estimate"] is None else interval(row, nats)
    away = "infinite" if row["estimate"] is None else f"{_effect(row):+.1f}".replace("-", "−")
    title = f"{row['prediction']} {row['title']}"
    margin = f"{nats(row['margin'])} ({row['test']}), {row['unit']}"
    return [title, cells[row["cell"]], row["quantity"], found, nats(row["null"]), margin, away]


def _furthest(verdicts: list[dict], cells: dict[str, str]) -> list[dict]:
    """Of each prediction in each cell the quantity that its verdict rests on, refuted predictions first."""
    groups: dict[tuple, list[dict]] = {}
    for row in _ours(verdicts):
        if row["cell"] in cells and row["verdict"] == row["prediction_verdict"]:
            groups.setdefault((row["prediction"], row["cell"]), []).append(row)
    return _sorted([max(group, key=lambda r: abs(_effect(r))) for group in groups.values()])


def _sorted(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda r: (VERDICTS.index(r["prediction_verdict"]), int(r["prediction"][1:])))


def _effect(row: dict) -> float:
    return float("inf") if row["estimate"] is None else (row["estimate"] - row["null"]) / row["margin"]


def _ours(verdicts: list[dict]) -> list[dict]:
    """Verdicts on the synthesizer of related pairs, cell by cell."""
    return [r for r in verdicts if r["cell"] and r["subject"] == names.SYNTHESIZER]


def _predictions(verdicts: list[dict], cells: dict[str, str]) -> list[str]:
    return sorted({r["prediction"] for r in _ours(verdicts) if r["cell"] in cells}, key=lambda p: int(p[1:]))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _table(header: list[str], rows: list) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        store(Path(sys.argv[1]))
    write_page()
