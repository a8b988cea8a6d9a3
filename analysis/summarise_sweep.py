"""What a sweep shows, cell by cell: the reporter ``1-summary`` of sweeps (``sbp_bayes.sweep_reporters``)."""

import dataclasses
from pathlib import Path

from analysis.summary import summarise_run
from sbp_bayes.files import read_json
from sbp_bayes.results import read_results, write_results


def summarise_sweep(run: Path) -> None:
    """Summarise every cell in its own folder, and gather their rows, each with its cell, in the run's results table.

    Reads ``cells.json`` and ``cells/``. Running it twice changes nothing.
    """
    rows = []
    for cell in read_json(run / "cells.json"):
        folder = run / "cells" / cell
        summarise_run(folder)
        rows += [dataclasses.replace(row, cell=cell) for row in read_results(folder)]
    write_results(run, rows)
