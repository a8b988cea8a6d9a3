"""Held-out perplexity of each arm on each source of a corpus."""

import math

from paper_figs import names
from paper_figs.run_files import Results
from paper_figs.tables import Table
from paper_figs.wording import interval

NOTE = (
    "exp of the held-out loss a token at the best checkpoint, mean over seeds with 95 % bootstrap intervals; in "
    "brackets after a source its held-out documents. Sources differ in how predictable their tokens are: compare "
    "arms within a column."
)


def source_table(results: Results) -> Table:
    """One row an arm, one column a source, and all of them; empty where the corpus has one source or none."""
    prefix, suffix = f"{names.HELDOUT_LOSS_OF} ", f" {names.BEST}"
    found = dict.fromkeys(row["measure"] for row in results.rows if row["measure"].startswith(prefix))
    sources = {m.removeprefix(prefix).removesuffix(suffix): m for m in found if m.endswith(suffix)}
    if not sources:
        return Table(["arm"], [])
    whole = names.at_checkpoint(names.HELDOUT_LOSS, names.BEST)
    columns = {**sources, "all": whole}
    rows = [
        [names.arm_label(arm), *(interval(_perplexity(results, m, arm), "{:.4g}".format) for m in columns.values())]
        for arm in results.subjects(whole)
    ]
    return Table(["arm", *(f"{name} ({_documents(results, m)})" for name, m in columns.items())], rows)


def _perplexity(results: Results, measure: str, arm: str) -> dict | None:
    row = results.over_seeds(measure, arm)
    if row is None:
        return None
    return {key: None if row[key] is None else math.exp(row[key]) for key in ("estimate", "low", "high")}


def _documents(results: Results, measure: str) -> str:
    """Of the first seed that has it."""
    return f"{next(row['n'] for row in results.of(measure) if row['seed'] is not None):,}"
