"""Quality of a run's synthetic text: the paper's Table 2 beside ours, and what its readers asked for."""

import math
from collections.abc import Callable
from html import escape
from pathlib import Path

from paper_figs import names, page
from paper_figs.run_files import Results, read_published, read_results
from paper_figs.tables import Table
from paper_figs.wording import interval, nats

TABLE_2 = (
    ("repetition", names.TEXT_REPETITION, 13.0),
    ("duplicates", names.TEXT_DUPLICATES, None),
    ("non-factual", names.TEXT_NOT_FACTUAL, None),
    ("pair-irrelevance", names.TEXT_IRRELEVANT, None),
    ("pair-copying", names.TEXT_PAIR_COPYING, None),
)
NOTE = (
    "Share of documents, lower is better; real: held-out documents, and real pairs. Repetition: a run of 13 words "
    "occurs twice. Duplicates: of an earlier one of {n:,} documents; the share grows with their number, which was 1M "
    "in the paper. Non-factual and pair-irrelevance: by a judge, where the run named one. Pair-copying: a run of 13 "
    "words of d1. "
    "Paper: arXiv 2509.15248, Table 2, by its authors' definitions, with our certainty: A, read in agreeing reports."
)
FURTHER_NOTE = (
    "Copying of D: a run of 13 words in any document of D. Similarity: cosine; a partner is a real document related to "
    "d1. Nearest headword: the real entry nearest to the document, d1 left out, defines d1's headword; chance in "
    "brackets. Different runs: of n words, in as many words of each. Perplexity: a token, by a model of this run."
)
NOVELTY_NOTE = "Share of a text's runs of n words that d1 does not have, and that no document of D has, d1 among them."


def section(run: Path) -> list[str]:
    """HTML of the three tables; [] for a run without synthetic text."""
    results = read_results(run)
    subjects = results.subjects(names.TEXT_REPETITION)
    if not subjects:
        return []
    among = _found(results, names.TEXT_DUPLICATES, subjects[0], None, seeds=True)
    parts = (
        ("Synthetic text (Table 2)", table_2(results, subjects), NOTE.format(n=among["n"])),
        ("Synthetic text, further", further_table(results, subjects), FURTHER_NOTE),
        ("New runs of words", novelty_table(results, subjects), NOVELTY_NOTE),
    )
    body = []
    for title, shown, note in parts:
        table = page.table(shown.header, shown.rows, shown.words)
        body += [f"<h2>{escape(title)}</h2>", f'<p class="muted">{escape(note)}</p>', table]
    return body


def table_2(results: Results, subjects: list[str]) -> Table:
    """The paper's five rows: ours by synthetic corpus, real text, and the published numbers with their certainty."""
    published = {(row["measure"], _scale(row)): row for row in read_published("table2")}
    scales = list(dict.fromkeys(scale for _, scale in published))
    rows = []
    for name, measure, at in TABLE_2:
        ours = [interval(_found(results, measure, subject, at), tenths) for subject in subjects]
        theirs = [published.get((name, scale)) for scale in scales]
        rows.append([name, *ours, *(f"{row['percent']} % ({row['certainty']})" if row else "–" for row in theirs)])
    return Table(["", *map(names.arm_label, subjects), *(f"paper, {scale}" for scale in scales)], rows)


def further_table(results: Results, subjects: list[str]) -> Table:
    """Everything else but new runs, a row a measure; rows that no corpus has are left out."""
    losses = _named(results, names.TEXT_LOSS)
    rejected = _named(results, names.TEXT_REJECTED)
    unjudged = _named(results, names.TEXT_UNJUDGED)
    kinds: list[tuple[str, str, float | None, Callable[[float | None], str]]] = [
        ("near-duplicates", names.TEXT_NEAR_DUPLICATES, None, tenths),
        ("a run of 5 words occurs twice", names.TEXT_REPETITION, 5.0, tenths),
        ("copying of D", names.TEXT_CORPUS_COPYING, None, tenths),
        ("longest run of d1, words", names.TEXT_LONGEST_RUN, None, nats),
        ("similarity to d1", names.TEXT_SIMILARITY_TO_D1, None, nats),
        ("similarity to a partner of d1", names.TEXT_SIMILARITY_TO_PARTNER, None, nats),
        ("similarity to another d1", names.TEXT_SIMILARITY_TO_RANDOM, None, nats),
        ("nearest headword is d1's", names.TEXT_HEADWORD, None, tenths),
        ("names d1's headword", names.TEXT_HEADWORD_NAMED, None, tenths),
        *((f"perplexity under {m.removeprefix(names.TEXT_LOSS).strip()}", m, None, _perplexity) for m in losses),
        ("words", names.TEXT_WORDS, None, nats),
        *((f"words, {at:.0%} quantile", names.TEXT_WORDS_QUANTILE, at, nats) for at in (0.05, 0.5, 0.95)),
        ("lengths' distance from real", names.TEXT_LENGTH_DISTANCE, None, nats),
        *((f"different runs of {n:.0f}", names.TEXT_DISTINCT, n, tenths) for n in (1.0, 2.0, 3.0, 4.0)),
        *((f"left out: {m.removeprefix(names.TEXT_REJECTED).strip()}", m, None, tenths) for m in rejected),
        *((f"unjudged: {m.removeprefix(names.TEXT_UNJUDGED).split()[-1]}", m, None, tenths) for m in unjudged),
    ]
    rows = []
    for label, measure, at, write in kinds:
        cells = [_with_chance(_found(results, measure, subject, at), write) for subject in subjects]
        if any(cell != "–" for cell in cells):
            rows.append([label, *cells])
    return Table(["", *map(names.arm_label, subjects)], rows)


def novelty_table(results: Results, subjects: list[str]) -> Table:
    """A row a corpus and what it is held against, a column a length of run."""
    lengths = sorted({row["at"] for row in results.of(names.TEXT_NOVELTY_TO_CORPUS)})
    rows = []
    for subject in subjects:
        for beside, measure in (("d1", names.TEXT_NOVELTY_TO_D1), ("D", names.TEXT_NOVELTY_TO_CORPUS)):
            found = [_found(results, measure, subject, at) for at in lengths]
            if any(found):
                cells = ["–" if row is None else tenths(row["estimate"]) for row in found]
                rows.append([names.arm_label(subject), beside, *cells])
    return Table(["text", "not in", *(f"{at:.0f}" for at in lengths)], rows, words=2)


def tenths(value: float | None) -> str:
    """A share in tenths of a percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def _perplexity(loss: float | None) -> str:
    return "–" if loss is None else f"{math.exp(loss):.3g}"


def _with_chance(row: dict | None, write: Callable[[float | None], str]) -> str:
    """The estimate and its interval; for headwords what chance would give."""
    cell = interval(row, write)
    by_chance = row is not None and row["measure"] in (names.TEXT_HEADWORD, names.TEXT_HEADWORD_NAMED)
    return f"{cell} ({write(row['null'])})" if by_chance else cell


def _scale(row: dict[str, str]) -> str:
    return " ".join(filter(None, [row["scale"].removesuffix(" tokens"), row["model"]]))


def _named(results: Results, prefix: str) -> list[str]:
    """The measures whose names begin with ``prefix``, in order of appearance."""
    return list(dict.fromkeys(row["measure"] for row in results.rows if row["measure"].startswith(prefix)))


def _found(results: Results, measure: str, subject: str, at: float | None, seeds: bool = False) -> dict | None:
    """The row over seeds, or with ``seeds`` the first seed's; None where there is none or it is undefined."""
    rows = [row for row in results.of(measure, subject) if row["at"] == at and row["estimate"] is not None]
    return next((row for row in rows if (row["seed"] is not None) == seeds), None)
