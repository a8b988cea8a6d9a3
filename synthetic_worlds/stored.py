"""The presets' stored figures: `presets.json`, read without torch, so that listing the worlds is instant."""

import json
import statistics
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

PATH = Path(str(files("synthetic_worlds") / "presets.json"))


@dataclass(frozen=True)
class Figure:
    """A figure over world seeds: mean, and standard deviation between seeds (each seed draws its own parameters)."""

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.sd:.2f}"


def stored_worlds() -> dict[str, dict]:
    """Name -> ``title``, ``version``, ``dials`` (list) and ``presets``: name -> ``dials`` and ``seeds``.

    Each entry of ``seeds`` has ``seed``, ``spec_hash`` the fields of `exact.Information` (null for NaN) and its
    ``ambiguity``.
    """
    return json.loads(PATH.read_text(encoding="utf-8"))


def over_seeds(preset: dict, field: str) -> Figure | None:
    """A field of `exact.Information` over the seeds of a stored preset; None where the world has no such figure."""
    values = [seed[field] for seed in preset["seeds"]]
    return None if None in values else Figure(statistics.fmean(values), statistics.stdev(values))
