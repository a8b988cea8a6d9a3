"""The tables of a run: arms, synthesizers, world, ledger. Each is a header and rows of text."""

from dataclasses import dataclass
from pathlib import Path

from paper_figs import names
from paper_figs.recovered_share import adverse_seeds, undefined_shares
from paper_figs.run_files import Results, read_results
from paper_figs.wording import count, interval, nats, percent

INFORMATION = (names.CONCEPT_ENTROPY, names.CONCEPT_INFORMATION, names.PAIR_INFORMATION, names.LOG_CONCEPTS)


@dataclass(frozen=True)
class Table:
    """header (k,), rows of k cells; the first ``words`` columns are words, the rest numbers."""

    header: list[str]
    rows: list[list[str]]
    words: int = 1


def arms_table(results: Results) -> Table:
    """One row an arm: loss at the end and at the best checkpoint, and the recovered share at both."""
    measure, what = names.EXCESS_LOSS, "above exact Bayes"
    if not results.of(names.at_checkpoint(measure, names.FINAL)):
        measure, what = names.HELDOUT_LOSS, "held-out loss"
    arms = results.subjects(names.at_checkpoint(measure, names.FINAL))
    rows = []
    for arm in [*arms, names.SBP_MINUS_RANDOM_PAIRS]:
        cells = [_cell(results, measure, checkpoint, arm, nats) for checkpoint in (names.FINAL, names.BEST)]
        cells += [_cell(results, names.RECOVERED, checkpoint, arm, percent) for checkpoint in (names.FINAL, names.BEST)]
        if any(cell != "–" for cell in cells):
            rows.append([names.arm_label(arm), *cells])
    header = ["arm", f"{what}, end", f"{what}, best", "recovered, end", "recovered, best"]
    return Table(header, rows)


def gains_table(results: Results) -> Table:
    """Nats a token below repetition, with the single seeds."""
    measure = names.at_checkpoint(names.GAIN, names.FINAL)
    rows = []
    for arm in results.subjects(measure):
        seeds = results.by_seed(measure, arm)
        name = f"{names.arm_label(arm)}" if arm != names.SBP_MINUS_RANDOM_PAIRS else "SBP over random pairs"
        over = interval(results.over_seeds(measure, arm), nats)
        rows.append([name, over, *[nats(seeds[s]["estimate"]) if s in seeds else "–" for s in results.seeds]])
    return Table(["arm", "mean", *[f"seed {seed}" for seed in results.seeds]], rows)


def synthesizers_table(results: Results) -> Table:
    """One row a synthesizer: its Bayes gap per document, per token, and as a share of I(d1;d2)."""
    rows = []
    for subject in results.subjects(names.BAYES_GAP):
        per_document, per_token, share = (
            results.over_seeds(measure, subject)
            for measure in (names.BAYES_GAP, names.BAYES_GAP_PER_TOKEN, names.BAYES_GAP_FRACTION)
        )
        if per_document is None:
            cells = ["infinite"] * 3
        else:
            share_cell = percent(share["estimate"]) if share else "undefined (I(d1;d2) = 0)"
            cells = [interval(per_document, nats), nats(per_token["estimate"]), share_cell]
        rows.append([names.synthesizer_label(subject), *cells])
    # In a world that writes text the gap is known sentence by sentence.
    unit = next((row["unit"] for row in results.of(names.BAYES_GAP_PER_TOKEN)), "nats/token")
    return Table(["synthesizer", "nats/document", unit, "share of I(d1;d2)"], rows)


def questions_table(results: Results) -> Table:
    """Share of questions answered right: arms going on with a text, synthesizers having read a related one."""
    rows = []
    arms = results.subjects(names.at_checkpoint(names.QA_ACCURACY, names.FINAL))
    for arm in arms:
        cells = [_cell(results, names.QA_ACCURACY, c, arm, percent) for c in (names.FINAL, names.BEST)]
        rows.append([names.arm_label(arm), "the text so far", *cells])
    ceiling = results.over_seeds(names.QA_CEILING, names.EXACT)
    if ceiling:
        rows.append(["exact Bayes", "the text so far", interval(ceiling), "–"])
    for subject in results.subjects(names.RELATED_QA_ACCURACY):
        found = results.over_seeds(names.RELATED_QA_ACCURACY, subject)
        rows.append([names.synthesizer_label(subject), "a related text", interval(found), "–"])
    if arms:
        chance = results.over_seeds(names.at_checkpoint(names.QA_ACCURACY, names.FINAL), arms[0])["null"]
        rows.append(["chance", "nothing", percent(chance), "–"])
    return Table(["model", "has read", "right, end", "right, best"], rows, words=2)


def facts_table(results: Results) -> Table:
    """One row a synthetic corpus: documents that the world can write, facts kept from d1, facts that are not true."""
    rows = []
    for arm in results.subjects(names.VALID_DOCUMENTS):
        cells = [interval(results.over_seeds(m, arm)) for m in (names.VALID_DOCUMENTS, names.VALID_SENTENCES)]
        for row in (results.over_seeds(m, arm) for m in (names.FACTS_KEPT, names.UNTRUE_FACTS)):
            cells += [interval(row), percent(row["null"]) if row else "–"]
        rows.append([names.arm_label(arm), *cells])
    header = ["synthetic corpus", "valid", "valid sentences", "kept of d1", "exact Bayes", "untrue", "exact Bayes"]
    return Table(header, rows)


def floor_line(results: Results) -> str:
    """The floor of invention, on one line; empty where there is none."""
    one = results.over_seeds(names.HALLUCINATION_FLOOR, names.WORLD)
    person = results.over_seeds(names.HALLUCINATION_FLOOR_PERSON, names.WORLD)
    if one is None or person is None:
        return ""
    return (
        f"A person drawn from the exact posterior given d1 differs from the true one in {percent(one['estimate'])} of "
        f"attributes, and as a whole in {percent(person['estimate'])} of documents: the floor of invention."
    )


def world_table(results: Results) -> Table:
    """The world's information figures in nats, mean over seeds."""
    found = [(m.removeprefix("information "), results.over_seeds(m, names.WORLD)) for m in INFORMATION]
    return Table(["quantity", "nats"], [[name, interval(row, nats)] for name, row in found if row])


def information_line(results: Results) -> str:
    """How ambiguous a document is, on one line; empty for text, where nobody knows."""
    found = {m: results.over_seeds(m, names.WORLD) for m in INFORMATION}
    stated = [f"{m.removeprefix('information ')} = {nats(row['estimate'])}" for m, row in found.items() if row]
    return f"{', '.join(stated)} nats" if stated else ""


def pairs_table(results: Results) -> Table:
    """Pairs and precision of each rule."""
    rows = []
    for rule in results.subjects(names.PAIRS):
        kept, precise = results.over_seeds(names.PAIRS, rule), results.over_seeds(names.PAIRING_PRECISION, rule)
        chance = percent(precise["null"]) if precise else "–"
        rows.append([rule, f"{kept['estimate']:,.0f}", interval(precise), chance])
    return Table(["pairing rule", "pairs", "precision", "by chance"], rows)


def ledger_table(provenance: dict) -> Table:
    """Tokens, floating-point operations and seconds of each stage, and their sum."""
    entries = provenance.get("ledger", [])
    rows = [[e["stage"], e["kind"], f"{e['tokens']:,}", f"{e['flops']:.2e}", f"{e['seconds']:.0f}"] for e in entries]
    if rows:
        total = [sum(e[key] for e in entries) for key in ("tokens", "flops")]
        rows.append(["all stages", "", f"{total[0]:,}", f"{total[1]:.2e}", ""])
    return Table(["stage", "kind", "tokens", "FLOPs", "seconds"], rows, words=2)


def headline(run: Path) -> str:
    """The arms' table as plain text, for the terminal at the end of a run, and what went against expectation."""
    results = read_results(run)
    shown = arms_table(results)
    lines = [shown.header, *shown.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(shown.header))]
    text = [_aligned(line, widths, shown.words) for line in lines]
    n = len(results.seeds)
    note = f"{results.label}: nats/token; {count(n, 'seed')}, 95 % intervals over seeds in brackets"
    remarks = [*undefined_shares(results), *adverse_seeds(results)]
    return "\n".join(filter(None, [note, information_line(results), *text, *remarks]))


def _aligned(cells: list[str], widths: list[int], words: int) -> str:
    """Words to the left, numbers to the right."""
    padded = [c.ljust(w) if i < words else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(padded).rstrip()


def _cell(results: Results, measure: str, checkpoint: str, arm: str, write) -> str:
    return interval(results.over_seeds(names.at_checkpoint(measure, checkpoint), arm), write)
