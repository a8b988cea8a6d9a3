"""What the stages of a run were expected to take before it began, and what they took."""

from paper_figs.tables import Table

NOTE = "Expected from stages that the machine had finished before; spent is summed over worker processes."
MEASURES = {"tokens": ("tokens", 1e6), "flops": ("FLOPs", 1e12), "bytes": ("disk", 1e6), "seconds": ("time", 1.0)}
UNITS = {"tokens": "M", "flops": "T", "bytes": "MB", "seconds": "s"}


def estimate_table(provenance: dict) -> Table:
    """One row a kind of stage, each figure as expected and as spent; empty where no estimate was kept."""
    rows = []
    for row in provenance.get("estimate", []):
        cells = [f"{row[side][m] / scale:,.4g}" for m, (_, scale) in MEASURES.items() for side in ("expected", "took")]
        rows.append([row["kind"], f"{row['expected']['stages']:,}", *cells])
    columns = [f"{name}, {UNITS[m]}, {side}" for m, (name, _) in MEASURES.items() for side in ("expected", "spent")]
    return Table(["stages", "number", *columns], rows)
