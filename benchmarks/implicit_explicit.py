"""Bayes gap against the number of pairs: a transformer beside explicit Bayes with learnt parameters, W1 and W4.

    python benchmarks/implicit_explicit.py

Medium presets, related pairs of unique documents, one thread; about 14 CPU-minutes a seed. Writes results.json,
results.parquet, provenance.json and the picture into benchmarks/results/implicit_explicit/. What is there already, made
with the same settings, is kept, so that it can be stopped and continued, or given more seeds.
"""

import dataclasses
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import torch

from analysis.equal_data import EqualData, gaps_at_equal_data
from paper_figs import implicit_explicit, style
from sbp_bayes.files import read_json, write_json
from sbp_bayes.results import Result, read_results, write_results
from synthetic_worlds.catalogue import make_world

FOLDER = Path(__file__).parent / "results" / "implicit_explicit"
WORLDS = ("bow", "hmm")
PRESET = "medium"
NUMBERS = [500, 2000, 8000, 32000]
SEEDS = (0, 1)


def main() -> None:
    """Measure what is missing, write the record, draw the picture."""
    torch.set_num_threads(1)
    settings = EqualData()
    provenance = {
        "settings": dataclasses.asdict(settings),
        "worlds": [make_world(name, PRESET, 0).label for name in WORLDS],
        "world seeds": "the same as the seed of the fits",
        "threads": 1,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "pyro-ppl", "numpy")},
        "cpu_seconds": {},
    }
    rows = _kept(provenance)
    for seed in SEEDS:
        for name in WORLDS:
            label = f"{name}-{PRESET}"
            there = {row.at for row in rows if row.world == label and row.seed == seed}
            missing = [n for n in NUMBERS if n not in there]
            if not missing:
                continue
            started = time.process_time()
            with tempfile.TemporaryDirectory() as scratch:
                world = make_world(name, PRESET, seed)
                for found in gaps_at_equal_data(world, label, seed, max(NUMBERS), missing, settings, Path(scratch)):
                    seconds, started = time.process_time() - started, time.process_time()
                    provenance["cpu_seconds"][f"{label} seed {seed} pairs {found[0].at:g}"] = round(seconds)
                    rows += found
                    _write(rows, provenance)
                    _say(found, seconds)
    style.save(implicit_explicit.draw(FOLDER), FOLDER, "implicit_explicit")
    print(f"{implicit_explicit.caption(FOLDER)}\nwritten: {FOLDER}")


def _kept(provenance: dict) -> list[Result]:
    """Rows of an earlier run with the same settings."""
    file = FOLDER / "provenance.json"
    if not file.exists():
        return []
    earlier = read_json(file)
    if earlier["settings"] != provenance["settings"] or earlier["worlds"] != provenance["worlds"]:
        return []
    provenance["cpu_seconds"] = earlier["cpu_seconds"]
    return read_results(FOLDER)


def _write(rows: list[Result], provenance: dict) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_results(FOLDER, rows)
    write_json(FOLDER / "provenance.json", provenance)


def _say(rows: list[Result], seconds: float) -> None:
    shares = [f"{row.subject} {row.estimate:.3f}" for row in rows if row.measure == "bayes_gap_fraction"]
    about = f"{rows[0].world} seed {rows[0].seed}, {rows[0].at:,.0f} pairs"
    print(f"{about}: gap as a share of I(d1;d2): {', '.join(shares)}  ({seconds:.0f} CPU-s)", flush=True)


if __name__ == "__main__":
    main()
