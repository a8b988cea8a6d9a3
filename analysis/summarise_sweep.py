"""What a sweep shows, cell by cell: the reporter ``1-summary`` of sweeps (``sbp_bayes.sweep_reporters``)."""

import dataclasses
from pathlib import Path

from analysis.predictions.gain_law import gain_law, world_gains
from analysis.predictions.learning_curve import learning_curves
from analysis.predictions.over_seeds import VERDICTS, Place, family
from analysis.summary import summarise_run
from sbp_bayes.files import read_json, write_json
from sbp_bayes.results import Result, read_results, write_results


def summarise_sweep(run: Path) -> None:
    """Summarise every cell in its own folder, and gather their rows, each with its cell, in the run's results table.

    Rows that cells say together follow: the learning curves. So are the cells' verdicts gathered in ``verdicts.json``,
    and after them those on the gain law, which takes several cells. Reads ``cells.json`` and ``cells/``. Running it
    twice changes nothing.
    """
    rows: list[Result] = []
    verdicts: list[dict] = []
    cells = read_json(run / "cells.json")
    for cell in cells:
        folder = run / "cells" / cell
        summarise_run(folder)
        rows += [dataclasses.replace(row, cell=cell) for row in read_results(folder)]
        if (folder / VERDICTS).exists():
            verdicts += [{**row, "cell": cell} for row in read_json(folder / VERDICTS)]
    settings = {cell: read_json(run / "cells" / cell / "experiment.json") for cell in cells}
    write_results(run, [*rows, *learning_curves(rows, settings)])
    gains = gain_law(rows)
    if gains:
        worlds = [gain.world for gain in world_gains(rows)]
        place = Place(worlds, sorted({row.seed for row in rows if row.world in worlds and row.seed is not None}))
        verdicts += [dataclasses.asdict(verdict) for verdict in family(gains, [place] * len(gains))]
    if verdicts:
        write_json(run / VERDICTS, verdicts)
