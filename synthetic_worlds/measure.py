"""Measuring the presets' figures: for storing them, and for checking what is stored."""

import dataclasses
import json
import math
from collections.abc import Sequence

import torch

from synthetic_worlds.catalogue import make_world, world_class
from synthetic_worlds.dials import WorldError
from synthetic_worlds.exact import information
from synthetic_worlds.stored import PATH, stored_worlds

WORLD_SEEDS = range(5)
FIELDS = ("I_c_d1", "I_d1_d2")  # H(c|d1), where there is one, is H(c) less the first
TOLERANCE_SE = 4.0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A stored figure beside a new measurement; ``distance`` is their difference in standard errors."""

    preset: str
    seed: int
    field: str
    stored: float
    measured: float
    distance: float

    @property
    def agrees(self) -> bool:
        return abs(self.distance) <= TOLERANCE_SE


def measure_preset(name: str, preset: str, draws_seed: int, seeds: Sequence[int] = WORLD_SEEDS) -> list[dict]:
    """The figures of a preset for each world seed, from its ``figure_pairs`` documents drawn with ``draws_seed``."""
    entries = []
    for seed in seeds:
        world = make_world(name, preset, seed)
        figures = information(world, world.figure_pairs, torch.Generator().manual_seed(1000 * draws_seed + seed))
        rounded = {
            key: None if math.isnan(value) else round(value, 6) + 0.0
            for key, value in {**dataclasses.asdict(figures), "ambiguity": figures.ambiguity}.items()
        }
        entries.append({"seed": seed, "spec_hash": world.spec_hash, **rounded})
    return entries


def check(name: str, seeds: Sequence[int] = WORLD_SEEDS) -> list[Comparison]:
    """The stored figures of a world's ``seeds``, all of them, against an independent measurement.

    Raises WorldError where what is stored belongs to another version or other dials of the world.
    """
    stored = stored_worlds()
    if name not in stored or set(stored[name]["presets"]) != set(world_class(name).PRESETS):
        raise WorldError(f"world {name}: no stored figures for its presets; store them with: sbp worlds {name} --store")
    comparisons = []
    for preset, entry in stored[name]["presets"].items():
        kept = [old for old in entry["seeds"] if old["seed"] in seeds]
        for old, new in zip(kept, measure_preset(name, preset, 2, seeds), strict=True):
            if old["spec_hash"] != new["spec_hash"]:
                raise WorldError(f"world {name}, preset {preset}: stored figures are of another version or other dials")
            for field in FIELDS:
                error = math.hypot(old[f"{field}_se"], new[f"{field}_se"], 2e-6)  # figures are stored to 1e-6
                distance = (new[field] - old[field]) / error
                comparisons.append(Comparison(preset, old["seed"], field, old[field], new[field], distance))
    return comparisons


def store(name: str) -> None:
    """Measure every preset of a world and write the figures to the package's `presets.json`."""
    world = world_class(name)
    presets = {
        preset: {"dials": dict(make_world(name, preset).dials), "seeds": measure_preset(name, preset, draws_seed=1)}
        for preset in world.PRESETS
    }
    entry = {
        "title": world.title,
        "version": world.version,
        "dials": [dataclasses.asdict(dial) for dial in world.DIALS],
        "presets": presets,
    }
    worlds = {**(stored_worlds() if PATH.exists() else {}), name: entry}
    PATH.write_text(json.dumps(worlds, indent=1, allow_nan=False) + "\n", encoding="utf-8")
