"""The paper's Table 1 below this run: the baseline, what SBP and the oracle change, and the share SBP recovers."""

import math

from paper_figs import names
from paper_figs.run_files import Results, read_published
from paper_figs.tables import Table
from paper_figs.wording import interval, nats, percent

NOTE = (
    "Repetition's score and by how much each arm differs from it; recovers: SBP's change as a share of the oracle's. "
    "Of this run: held-out text in tokens of its own tokenizer, so that its perplexities compare with one another "
    "alone, and the mean loss over seeds. Published: certainty A read in the paper's abstract or in two agreeing "
    "reports, B reported once, C recalled and unchecked; no error bars were published."
)
CHECKPOINTS = ((names.FINAL, "end"), (names.BEST, "best"))


def paper_table1(results: Results) -> Table:
    """Rows of this run, then the published ones; empty for worlds, whose measure is the loss above exact Bayes, and
    where repetition, SBP or the oracle is missing."""
    measure = names.at_checkpoint(names.HELDOUT_LOSS, names.FINAL)
    arms = results.subjects(measure)
    in_world = results.of(names.at_checkpoint(names.EXCESS_LOSS, names.FINAL))
    if in_world or not {names.REPETITION, names.SBP, names.ORACLE} <= set(arms):
        return Table([], [])
    others = [arm for arm in arms if arm not in (names.REPETITION, names.SBP, names.ORACLE)]
    compared = [names.SBP, *others, names.ORACLE]
    rows = []
    for checkpoint, where in CHECKPOINTS:
        rows += _own_rows(results, checkpoint, where, compared)
    for row in read_published("table1"):
        changes = {names.SBP: float(row["sbp_change"]), names.ORACLE: float(row["oracle_change"])}
        cells = [_signed(changes[arm]) if arm in changes else "–" for arm in compared]
        name = f"published, {row['scale']}, {row['model']}: {row['benchmark']}, {row['unit']}"
        share = percent(changes[names.SBP] / changes[names.ORACLE])
        rows.append([name, row["certainty"], row["repetition"], *cells, share])
    header = ["", "certainty", names.arm_label(names.REPETITION), *map(names.arm_label, compared), "recovers"]
    return Table(header, rows, words=2)


def _own_rows(results: Results, checkpoint: str, where: str, compared: list[str]) -> list[list[str]]:
    """Loss and perplexity at one checkpoint; a dash for an arm that has none."""
    measure = names.at_checkpoint(names.HELDOUT_LOSS, checkpoint)
    found = {arm: results.over_seeds(measure, arm) for arm in (names.REPETITION, *compared)}
    losses = {arm: row["estimate"] for arm, row in found.items() if row}
    if names.REPETITION not in losses:
        return []
    recovered = results.over_seeds(names.at_checkpoint(names.RECOVERED, checkpoint), names.SBP)
    loss = ["loss, nats/token", "measured", nats(losses[names.REPETITION])]
    loss += [*_changes(losses, compared, 3), interval(recovered)]
    perplexities = {arm: math.exp(value) for arm, value in losses.items()}
    gains = {arm: perplexities[names.REPETITION] - value for arm, value in perplexities.items()}
    # Where the share of the loss is undefined, so is this one.
    share = percent(gains[names.SBP] / gains[names.ORACLE]) if recovered else "–"
    perplexity = ["perplexity", "measured", f"{perplexities[names.REPETITION]:.2f}"]
    perplexity += [*_changes(perplexities, compared, 2), share]
    return [[f"this run, {where}: {name}", *cells] for name, *cells in (loss, perplexity)]


def _changes(values: dict[str, float], compared: list[str], digits: int) -> list[str]:
    start = values[names.REPETITION]
    return [_signed(values[arm] - start, digits) if arm in values else "–" for arm in compared]


def _signed(change: float, digits: int = 2) -> str:
    """``+1.28``, ``−0.53``."""
    return f"{change:+.{digits}f}".replace("-", "−")
