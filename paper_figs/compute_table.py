"""What each arm costs: its own training, and all that it rests on."""

from paper_figs import names
from paper_figs.tables import Table

NOTE = (
    "Floating-point operations counted from the models' shapes, mean over seeds. End to end: training, tuning, "
    "sampling and embedding, all that the arm rests on; what arms share counts for each."
)


def compute_table(provenance: dict) -> Table:
    """One row an arm; empty where a run has no arm or was made before this was written down."""
    seeds = list(provenance.get("compute", {}).values())
    rows = []
    for arm in dict.fromkeys(arm for seed in seeds for arm in seed):
        own, whole = (_mean(seeds, arm, kind) for kind in ("training", "end to end"))
        times = "–"
        if all(names.REPETITION in seed for seed in seeds):
            times = f"{whole / _mean(seeds, names.REPETITION, 'end to end'):.2f} x"
        rows.append([names.arm_label(arm), f"{own:.2e}", f"{whole:.2e}", times])
    return Table(["arm", "training, FLOPs", "end to end, FLOPs", "repetition's"], rows)


def _mean(seeds: list[dict], arm: str, kind: str) -> float:
    values = [seed[arm][kind] for seed in seeds if arm in seed]
    return sum(values) / len(values)
