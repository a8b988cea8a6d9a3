"""Run an experiment: its stages, then the run folder with results, provenance and report.

The stages lie in ``ROOT/stages`` and are shared between runs; the run folder ``ROOT/NAME`` holds what a reader needs
and nothing that can't be made again from the stages.
"""

import itertools
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sbp_bayes import __version__, plugins
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import ExperimentConfig, as_tables, experiment_from, load_tables
from sbp_bayes.files import content_hash, exclusive, read_json, write_json
from sbp_bayes.sweep import cells_of

if TYPE_CHECKING:
    from sbp_bayes.estimate import Estimate
    from sbp_bayes.graph import Stage

COMPLETE = "complete.json"
ESTIMATE = "estimate.json"  # of every stage, as it was expected before it was run
CELLS = "cells.json"  # of a sweep: cell -> the values that it sets


@dataclass(frozen=True)
class Machine:
    """What an experiment runs on; never part of what identifies a result.

    root: folder of runs and stages; workers, threads: processes and threads of each, 0: chosen; device: torch's name;
    fresh: make the stages again that were made by other code
    """

    root: Path
    workers: int = 0
    threads: int = 1
    device: str = "auto"
    fresh: bool = False


def run_experiment(file: Path, overrides: Sequence[str], machine: Machine) -> Path:
    """Run an experiment, or continue it, or return at once when it is finished. Returns the run folder.

    Raises UserError for bad input. The run folder is complete when ``complete.json`` is there.
    """
    if machine.workers < 0 or machine.threads < 1:
        raise UserError(f"--workers {machine.workers} --threads {machine.threads}: expected 0 or more, and 1 or more")
    tables = load_tables(file, overrides)
    members = _members(tables)
    run = machine.root / members[0].config.name
    identity = content_hash([__version__, plugins.versions(), [[m.folder, as_tables(m.config)] for m in members]])
    if not machine.fresh and _is_complete(run, identity):
        return run
    with exclusive(machine.root / ".locks" / run.name, f"run {run.name}"):
        if machine.fresh or not _is_complete(run, identity):  # another process may have finished it meanwhile
            _run_stages(members, tables, run, machine)
            write_json(run / COMPLETE, {"identity": identity})
    return run


@dataclass(frozen=True)
class Member:
    """One experiment of a run: the run itself, or a cell of a sweep.

    folder: inside the run folder, empty for the run itself; values: what a cell sets, its block among them.
    """

    folder: str
    config: ExperimentConfig
    values: dict


def _members(tables: dict) -> list[Member]:
    if "sweep" not in tables:
        return [Member("", experiment_from(tables), {})]
    cells = cells_of(tables, str(tables["name"]))
    return [Member(f"cells/{cell.name}", cell.config, {"block": cell.block, **cell.values}) for cell in cells]


def _is_complete(run: Path, identity: str) -> bool:
    """Whether the run folder holds the finished results of just this experiment; unreadable counts as no."""
    try:
        record = read_json(run / COMPLETE)
    except UserError:
        return False
    whole = all((run / name).exists() for name in ("results.json", "report.html"))
    return whole and isinstance(record, dict) and record.get("identity") == identity


def _run_stages(members: list[Member], tables: dict, run: Path, machine: Machine) -> None:
    """Run what is not finished, then write the run folder anew from the stages."""
    # These need torch; a finished run is answered without it.
    from sbp_bayes.executor import default_workers, run_graph
    from sbp_bayes.graph import in_order, made_by_other_code
    from sbp_bayes.plan import plan_seed
    from sbp_bayes.run_folder import write_run_folder

    device = device_named(machine.device)
    root = machine.root / "stages"
    plans = [[plan_seed(member.config, seed) for seed in member.config.seeds] for member in members]
    # Seed by seed, so that a sweep that is stopped early has all its cells for the seeds that it got to.
    by_seed = [plan for seeds in itertools.zip_longest(*plans) for plan in seeds if plan is not None]
    stages = in_order([plan.evaluation for plan in by_seed])
    stale = made_by_other_code(stages, root)
    if machine.fresh:
        for stage in stale:
            shutil.rmtree(stage.folder(root))
    elif stale:
        note = f"note: {len(stale)} finished stages were made by other code than this; --fresh makes them again"
        print(note, file=sys.stderr)
    workers = machine.workers or default_workers(device)
    estimates = _estimated(stages, root, run, workers)
    run_graph(stages, root, workers, machine.threads, device)

    settings = tables if "sweep" in tables else as_tables(members[0].config)
    _tell_what_is_replaced(run, settings)
    (run / COMPLETE).unlink(missing_ok=True)
    (run / CELLS).unlink(missing_ok=True)
    shutil.rmtree(run / "cells", ignore_errors=True)
    if "sweep" in tables:
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / "experiment.json", tables)
        write_json(run / CELLS, {Path(m.folder).name: m.values for m in members})
    for member, own in zip(members, plans, strict=True):
        write_run_folder(run / member.folder, member.config, own, root, device, estimates)
    _report(run)


def _estimated(stages: "list[Stage]", root: Path, run: Path, workers: int) -> "dict[str, Estimate]":
    """Say what the stages to come are expected to take, and keep it; what an earlier start said of a stage stands."""
    from sbp_bayes import estimate

    found = estimate.estimate(stages, root)
    if found:
        print(
            *estimate.lines(found, estimate.elapsed(stages, found, root, workers), workers), sep="\n", file=sys.stderr
        )
    kept = found | estimate.read_estimates(run / ESTIMATE)
    write_json(run / ESTIMATE, kept)
    return kept


def _tell_what_is_replaced(run: Path, settings: dict) -> None:
    """One line where the run folder holds the results of other settings."""
    if not ((run / COMPLETE).exists() and (run / "experiment.json").exists()):
        return
    changed = _changed_keys(read_json(run / "experiment.json"), settings)
    if changed:
        note = f"note: {run} held results with other settings ({', '.join(changed)}); they are replaced, their stages"
        print(f"{note} kept. --set name=NAME keeps both", file=sys.stderr)


def _changed_keys(before: dict, after: dict, prefix: str = "") -> list[str]:
    """The keys of nested tables whose values differ."""
    keys = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            keys += _changed_keys(old, new, f"{prefix}{key}.")
        elif old != new:
            keys.append(prefix + key)
    return keys


def report(run: Path) -> None:
    """Write the figures and report.html of a finished run again."""
    if not (run / COMPLETE).exists():
        raise UserError(f"{run}: not a finished run (no {COMPLETE}); sbp run makes one")
    _report(run)


def _report(run: Path) -> None:
    """Call the reporters in the order of their names' numbers: ``1-summary`` before ``2-report``."""
    group = "sbp_bayes.sweep_reporters" if (run / CELLS).exists() else "sbp_bayes.reporters"
    for name in sorted(plugins.names(group)):
        plugins.load(group, name)(run)


def device_named(name: str) -> str:
    """``auto`` as cuda where there is one, else cpu; UserError for a device that this machine has not."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not usable here ({str(error).splitlines()[0]})") from error
    return name
