"""What each measure of the predictions says of exact Bayes and of every wrong synthesizer, at three sample sizes.

    python benchmarks/power.py

Medium presets of W1, W4 and W5, one thread; about twenty CPU-minutes. Writes results/power.json and docs/power.md.
What is there already, of the same worlds, is kept, so that it can be stopped and continued: delete the record where a
measure has changed. Margins may change without that.
"""

import contextlib
import dataclasses
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from analysis.power import (
    AS_IT_IS,
    EQUAL_GAP,
    Case,
    cases_as_they_are,
    cases_at_equal_gap,
    cases_of_other_pairs,
    measure,
    refuted_families,
)
from analysis.power_page import power_page
from sbp_bayes.files import read_json, write_json, write_text
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.world import World

FILE = Path(__file__).parent / "results" / "power.json"
PAGE = Path(__file__).parent.parent / "docs" / "power.md"
WORLDS = ("bow", "style", "hmm")
PRESET = "medium"
SEED = 0
SIZES = {AS_IT_IS: (512, 2048, 8192), EQUAL_GAP: (4096,)}
SLOW_SIZES = {"hmm": {AS_IT_IS: (512, 2048), EQUAL_GAP: (2048,)}}  # W4 takes four times as long a document
OTHER_SIZES = (4096,)
OTHER_WORLD = "bow"  # where pairs were not plain
FAMILIES, FAMILY_SIZE = 40, 512


def main() -> None:
    """Judge what is missing, small samples first; the record and the page are whole at any moment."""
    torch.set_num_threads(1)
    worlds = {f"{name}-{PRESET}": make_world(name, PRESET, SEED) for name in WORLDS}
    record = _kept(
        {
            "worlds": {label: world.spec() for label, world in worlds.items()},
            "seed": SEED,
            "threads": 1,
            "python": platform.python_version(),
            "torch": version("torch"),
        }
    )
    jobs = [(n, label, case) for label, world in worlds.items() for case in _cases(world) for n in _sizes(world, case)]
    _add_families(record, worlds)
    _add_cases(record, worlds, sorted(jobs, key=lambda job: job[0]))
    print(f"written: {FILE} and {PAGE}")


def _add_cases(record: dict, worlds: dict[str, World], jobs: list[tuple[int, str, Case]]) -> None:
    for n, label, case in jobs:
        key = (label, case.setting, case.kind, n)
        if key not in {(row["world"], row["setting"], row["kind"], row["n"]) for row in record["rows"]}:
            with _timed(record, f"{label}, {case.setting}, {case.kind}, n = {n}"):
                record["rows"] += map(dataclasses.asdict, measure(worlds[label], label, case, n, SEED))


def _add_families(record: dict, worlds: dict[str, World]) -> None:
    for label, world in worlds.items():
        if label not in record["false_refutations"]:
            with _timed(record, f"{label}, {FAMILIES} families of exact Bayes"):
                record["false_refutations"][label] = {
                    "documents": FAMILY_SIZE,
                    "refuted": refuted_families(world, range(FAMILIES), FAMILY_SIZE),
                }


def _cases(world: World) -> list[Case]:
    others = cases_of_other_pairs(world) if world.name == OTHER_WORLD else ()
    return [*cases_as_they_are(world), *cases_at_equal_gap(world, SEED), *others]


def _sizes(world: World, case: Case) -> tuple[int, ...]:
    return SLOW_SIZES.get(world.name, SIZES).get(case.setting, OTHER_SIZES)


@contextlib.contextmanager
def _timed(record: dict, work: str) -> Iterator[None]:
    """Do the work, count its CPU time, write the record and the page."""
    started = time.process_time()
    yield
    seconds = time.process_time() - started
    record["cpu_seconds"] = round(record["cpu_seconds"] + seconds, 1)
    write_json(FILE, record)
    write_text(PAGE, power_page(record))
    print(f"{work}: {seconds:.1f} CPU-s", flush=True)


def _kept(provenance: dict) -> dict:
    """The record of an earlier run in the same worlds, or an empty one."""
    if FILE.exists():
        earlier = read_json(FILE)
        if earlier["provenance"] == provenance:
            return earlier
    return {"provenance": provenance, "cpu_seconds": 0.0, "false_refutations": {}, "rows": []}


if __name__ == "__main__":
    main()
