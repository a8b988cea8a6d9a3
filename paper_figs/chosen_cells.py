"""Which synthesizers' pictures a report shows: a run's own, or of a sweep the best one of each kind of world."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paper_figs import names
from paper_figs.run_files import Results, read_cells, read_pictures, read_results

MOST = 3


@dataclass(frozen=True)
class Shown:
    """title: the world; cell: of a sweep, else None; pictures: seed -> the numbers, at least one."""

    title: str
    cell: str | None
    pictures: dict[int, dict]

    @property
    def first(self) -> dict:
        """The first seed's."""
        return next(iter(self.pictures.values()))

    def mean(self, key: str) -> np.ndarray:
        """The mean over seeds of the numbers under ``key``."""
        return np.mean([picture[key] for picture in self.pictures.values()], axis=0)


def shown(run: Path, name: str) -> list[Shown]:
    """The synthesizers that have the picture ``name``, one for each kind of world, `MOST` at most.

    Of several cells in worlds of one kind (bow, hmm, ...) the one with the least Bayes gap as a share of I(d1;d2) is
    shown: what a picture should show is what training can reach. Null worlds have no such share and come last.
    """
    results = read_results(run)
    if not (run / "cells.json").exists():
        pictures = _with(run, name)
        return [Shown(results.label, None, pictures)] if pictures else []
    best: dict[str, tuple[float, Shown]] = {}
    for cell in read_cells(run):
        pictures = _with(run / "cells" / cell, name)
        if not pictures:
            continue
        own = Results([row for row in results.rows if row["cell"] == cell])
        share = own.over_seeds(names.BAYES_GAP_FRACTION, names.SYNTHESIZER)
        gap = float("inf") if share is None else share["estimate"]
        kind = own.label.partition("-")[0].partition("(")[0]
        if kind not in best or gap < best[kind][0]:
            best[kind] = gap, Shown(own.label, cell, pictures)
    return [found for _, found in sorted(best.values(), key=lambda item: item[0])[:MOST]]


def sources(found: list[Shown]) -> str:
    """Where the pictures are from: ``Shown: cell a (bow-medium), cell b (hmm-medium); 3 seeds.``"""
    places = [f"{f.cell} ({f.title})" if f.cell else f.title for f in found]
    seeds = max(len(f.pictures) for f in found)
    return f"Shown: {', '.join(places)}; {seeds} {'seed' if seeds == 1 else 'seeds'}."


def _with(folder: Path, name: str) -> dict[int, dict]:
    pictures = read_pictures(folder, names.SYNTHESIZER)
    return {seed: drawn[name] for seed, drawn in pictures.items() if name in drawn}
