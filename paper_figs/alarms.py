"""The alarm on evaluation pairs: they say more of one another than related documents can."""

from paper_figs import names
from paper_figs.run_files import Results
from paper_figs.wording import nats

STANDARD_ERRORS = 3.0


def alarms(results: Results) -> list[str]:
    """A plain sentence for each synthesizer and seed that finds more in held-out pairs than I(d1;d2) allows."""
    sentences = []
    for row in results.of(names.HELDOUT_PAIR_INFORMATION):
        known = row["estimate"] is not None and row["se"] is not None and row["seed"] is not None
        if known and row["estimate"] - row["null"] > STANDARD_ERRORS * row["se"]:
            where = f"{row['cell']}, seed {row['seed']}" if row.get("cell") else f"seed {row['seed']}"
            sentences.append(
                f"Alarm ({where}, {row['subject']}): held-out pairs hold {nats(row['estimate'])} nats of information, "
                f"more than I(d1;d2) = {nats(row['null'])}: they are near-duplicates, or were learnt by heart."
            )
    return sentences
