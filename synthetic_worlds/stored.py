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

    Each entry of ``seeds`` has ``seed``, ``spec_hash`` and the fields of `exact.Information`.
    """
    return json.loads(PATH.read_text(encoding="utf-8"))


def over_seeds(preset: dict, field: str) -> Figure:
    """A field of `exact.Information` over the seeds of a stored preset; ``ambiguity`` is H(c|d1) / H(c)."""
    values = [seed["H_c_given_d1"] / seed["H_c"] if field == "ambiguity" else seed[field] for seed in preset["seeds"]]
    return Figure(statistics.fmean(values), statistics.stdev(values))
