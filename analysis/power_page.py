"""docs/power.md from the record of benchmarks/power.py: which measure catches which wrong synthesizer."""

from collections.abc import Sequence

from analysis.power import AS_IT_IS, EQUAL_GAP, EXACT, Cell, Row, cells_of
from analysis.predictions.catalogue import PREDICTIONS
from analysis.predictions.verdict import CONTROL, INCONCLUSIVE, REFUTED, SUPPORTED

GAP_ITSELF = (("P1", "gap"), ("P1", "share of information"))
# What no synthesizer of the table has: their tests plant it.
PLANTED_IN_TESTS = {
    ("P2", "preferred half"): "nothing here; a reader of one half of d1",
    ("P13", "information on real pairs"): "nothing here; duplicates among evaluation pairs (`information_alarm`)",
    ("P15", "sampler against law"): "nothing here; a sampler at another temperature than its law, whose gap is 0",
}
NOTHING = "nothing: it adds nothing to the gap here"
PLAIN = (AS_IT_IS, EQUAL_GAP)
LETTERS = {SUPPORTED: "S", REFUTED: "R", INCONCLUSIVE: "I", CONTROL: "C"}

HEAD = """\
# Power of the predictions' measures

Made by `python benchmarks/power.py`, from `benchmarks/results/power.json`. Each measure is put to exact Bayes and to
synthesizers that are wrong in one known way each, in the medium presets of W1, W4 and W5, with margins and multiplicity
exactly as a trained synthesizer is judged (`analysis/predictions/margins.toml`, `analysis/predictions/verdict.py`).

P10 looks into a network and P12 at models trained on synthetic documents; neither applies to a synthesizer that is only
a law, so they are not here.
"""
READING = """\
A cell has the verdict (**R**efuted, **S**upported, **I**nconclusive, or **C**ontrol: not refuted, and nothing put it
to the test), for R the smallest number of documents at which it was refuted, and in brackets the effect in
margins at the largest: within -1 and 1 counts as equal (a one-sided test takes no offence at the side that it leaves
open). Empty: the measure does not apply.
"""


def power_page(record: dict) -> str:
    """The page in Markdown, its verdicts by today's margins. record: as benchmarks/power.py writes it."""
    cells = cells_of(Row(**row) for row in record["rows"])
    worlds = list(dict.fromkeys(cell.row.world for cell in cells))
    parts = [HEAD, "## What each measure adds to the Bayes gap\n", _added(cells)]
    parts += ["## False refutations\n", _false_refutations(record["false_refutations"])]
    parts += ["## As they are\n", READING]
    parts += [_table(world, _of(cells, AS_IT_IS, world)) for world in worlds]
    parts += ["## At equal gap\n", "Mixed with exact Bayes to half of the gap that P1 allows.\n"]
    parts += [_table(world, _of(cells, EQUAL_GAP, world)) for world in worlds]
    parts.append("## Pairs that were not plain\n")
    others = dict.fromkeys((cell.row.setting, cell.row.world) for cell in cells if cell.row.setting not in PLAIN)
    parts += [_table(f"{world}, {setting}", _of(cells, setting, world)) for setting, world in others]
    return "\n".join(parts)


def catches_beyond_gap(cells: Sequence[Cell], prediction: str, quantity: str) -> dict[str, set[str]]:
    """Wrong synthesizer -> worlds in which the quantity is REFUTED though neither measure of the gap is.

    At the largest number of documents. Synthesizers of pairs that were not plain are named with their setting: P1 does
    not apply to them.
    """
    found: dict[str, set[str]] = {}
    for case in _cases(cells):
        row = case[0].row
        outcomes = {(cell.row.prediction, cell.row.quantity): cell.outcome for cell in case}
        silent = not any(outcomes.get(gap) == REFUTED for gap in GAP_ITSELF)
        if row.kind != EXACT and silent and outcomes.get((prediction, quantity)) == REFUTED:
            name = row.kind if row.setting in PLAIN else f"{row.kind} ({row.setting})"
            found.setdefault(name, set()).add(row.world)
    return found


def _added(cells: Sequence[Cell]) -> str:
    lines = [
        "Refuted where P1's gap and share of information are not, with the worlds: synthesizers with a small gap as",
        "they are, or mixed with exact Bayes until it was small; and where the pairs were not plain, so that P1 has",
        'nothing to say. After "nothing here" stands what the measure\'s tests plant and it catches.\n',
        "| Prediction | Quantity | Catches what the gap does not |",
        "|---|---|---|",
    ]
    for prediction, quantity in _quantities(cells):
        if (prediction, quantity) in GAP_ITSELF:
            continue
        found = catches_beyond_gap(cells, prediction, quantity)
        said = "; ".join(f"{kind} [{', '.join(sorted(worlds))}]" for kind, worlds in found.items())
        title = f"{prediction} {PREDICTIONS[prediction].title}"
        lines.append(f"| {title} | {quantity} | {said or PLANTED_IN_TESTS.get((prediction, quantity), NOTHING)} |")
    return "\n".join(lines) + "\n"


def _false_refutations(worlds: dict[str, dict]) -> str:
    lines = ["Families of exact Bayes, a seed each, with any quantity refuted: at most 5 % are to be.\n"]
    for world, row in worlds.items():
        refuted = [family for family in row["refuted"] if family]
        which = sorted({quantity for family in refuted for quantity in family})
        found = f"{world}: {len(refuted)} of {len(row['refuted'])}, {row['documents']} documents each"
        lines.append(f"- {found}{': ' + ', '.join(which) if which else ''}")
    return "\n".join(lines) + "\n"


def _table(title: str, cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    kinds = list(dict.fromkeys(cell.row.kind for cell in cells))
    largest = max(cell.row.n for cell in cells)
    lines = [
        f"### {title}, up to {largest:,} documents\n",
        f"| | {' | '.join(kinds)} |",
        "|---|" + "---|" * len(kinds),
    ]
    for prediction, quantity in _quantities(cells):
        own = [cell for cell in cells if (cell.row.prediction, cell.row.quantity) == (prediction, quantity)]
        entries = [_entry([cell for cell in own if cell.row.kind == kind], largest) for kind in kinds]
        lines.append(f"| {prediction} {quantity} | {' | '.join(entries)} |")
    return "\n".join(lines) + "\n"


def _entry(cells: Sequence[Cell], largest: int) -> str:
    last = [cell for cell in cells if cell.row.n == largest]
    if not last:
        return ""
    effect = "infinite" if last[0].effect is None else f"{round(last[0].effect, 1) + 0.0:+.1f}"
    first = min((cell.row.n for cell in cells if cell.outcome == REFUTED), default=largest)
    return f"{LETTERS[last[0].outcome]}{first if last[0].outcome == REFUTED else ''} ({effect})"


def _quantities(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    found = dict.fromkeys((cell.row.prediction, cell.row.quantity) for cell in cells)
    return sorted(found, key=lambda pair: int(pair[0][1:]))


def _of(cells: Sequence[Cell], setting: str, world: str) -> list[Cell]:
    return [cell for cell in cells if (cell.row.setting, cell.row.world) == (setting, world)]


def _cases(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of each world, setting and kind, at its largest number of documents."""
    cases: dict[tuple, list[Cell]] = {}
    for cell in cells:
        cases.setdefault((cell.row.world, cell.row.setting, cell.row.kind), []).append(cell)
    largest = [max(cell.row.n for cell in case) for case in cases.values()]
    return [[cell for cell in case if cell.row.n == n] for case, n in zip(cases.values(), largest, strict=True)]
