"""What a sweep shows, cell by cell: the reporter ``1-summary`` of sweeps (``sbp_bayes.sweep_reporters``)."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.predictions.gain_law import QUANTITIES, chosen_worlds, gain_law, missing_kinds, world_gains
from analysis.predictions.learning_curve import curves, learning_curves, why_no_fit
from analysis.predictions.over_seeds import VERDICTS, Place, Verdict, family
from analysis.summary import summarise_run
from sbp_bayes.files import read_json, write_json
from sbp_bayes.results import Result, read_results, write_results


def summarise_sweep(run: Path) -> None:
    """Summarise every cell in its own folder, and gather their rows, each with its cell, in the run's results table.

    Rows that cells say together follow: the learning curves; one that can't be fitted is told on standard error. So are
    the cells' verdicts gathered in ``verdicts.json``, and after them those on the gain law, which takes several cells.
    Reads ``cells.json`` and ``cells/``. Running it twice changes nothing.
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
    _tell_what_is_not_fitted(rows, settings)
    write_results(run, [*rows, *learning_curves(rows, settings)])
    verdicts += [dataclasses.asdict(verdict) for verdict in gain_verdicts(rows)]
    if verdicts:
        write_json(run / VERDICTS, verdicts)


def gain_verdicts(rows: Sequence[Result]) -> list[Verdict]:
    """The verdicts on the gain law (P12), each with the worlds that it rests on; what lacks one says which."""
    chosen = chosen_worlds(world_gains(rows))
    places = []
    for kinds in QUANTITIES.values() if chosen else ():
        worlds = [chosen[kind].world for kind in kinds if kind in chosen]
        seeds = sorted({row.seed for row in rows if row.world in worlds and row.seed is not None})
        places.append(Place(worlds, seeds))
    found = []
    for verdict in family(gain_law(chosen), places):
        lacking = missing_kinds(verdict.quantity, chosen)
        said = f"Not measured: arms were trained in no {' and in no '.join(lacking)} world." if lacking else ""
        found.append(dataclasses.replace(verdict, sentence=said or verdict.sentence))
    return found


def _tell_what_is_not_fitted(rows: Sequence[Result], settings: Mapping[str, Mapping]) -> None:
    for curve in curves(rows, settings):
        reason = why_no_fit(curve)
        if reason:
            note = f"note: the learning curve of {curve.subject} in {curve.world} is not fitted: {reason}"
            print(note, file=sys.stderr)
