"""Run an experiment: its stages, then the run folder with results, provenance and report.

The stages lie in ``ROOT/stages`` and are shared between runs; the run folder ``ROOT/NAME`` holds what a reader needs
and nothing that can't be made again from the stages.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes import __version__, plugins
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import ExperimentConfig, as_tables, load_experiment
from sbp_bayes.files import content_hash, exclusive, read_json, write_json

COMPLETE = "complete.json"
REPORTED_PACKAGES = ("torch", "triton", "pyro-ppl", "numpy", "scipy", "pyarrow", "tokenizers", "faiss-cpu")


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
    config = load_experiment(file, overrides)
    run = machine.root / config.name
    identity = content_hash([__version__, _plugin_versions(), as_tables(config)])
    if not machine.fresh and _is_complete(run, identity):
        return run
    with exclusive(machine.root / ".locks" / config.name, f"run {config.name}"):
        if machine.fresh or not _is_complete(run, identity):  # another process may have finished it meanwhile
            _run_stages(config, run, machine)
            write_json(run / COMPLETE, {"identity": identity})
    return run


def _is_complete(run: Path, identity: str) -> bool:
    """Whether the run folder holds the finished results of just this experiment; unreadable counts as no."""
    try:
        record = read_json(run / COMPLETE)
    except UserError:
        return False
    whole = all((run / name).exists() for name in ("results.json", "report.html"))
    return whole and isinstance(record, dict) and record.get("identity") == identity


def _run_stages(config: ExperimentConfig, run: Path, machine: Machine) -> None:
    """Run what is not finished, then write the run folder anew from the stages."""
    # These need torch; a finished run is answered without it.
    from sbp_bayes.executor import default_workers, run_graph
    from sbp_bayes.graph import in_order, made_by_other_code, read_record
    from sbp_bayes.plan import plan_seed

    device = _device(machine.device)
    root = machine.root / "stages"
    plans = [plan_seed(config, seed) for seed in config.seeds]
    stages = in_order([plan.evaluation for plan in plans])
    stale = made_by_other_code(stages, root)
    if machine.fresh:
        for stage in stale:
            shutil.rmtree(stage.folder(root))
    elif stale:
        note = f"note: {len(stale)} finished stages were made by other code than this; --fresh makes them again"
        print(note, file=sys.stderr)
    run_graph(stages, root, machine.workers or default_workers(device), machine.threads, device)

    if (run / COMPLETE).exists() and (run / "experiment.json").exists():
        changed = _changed_keys(read_json(run / "experiment.json"), as_tables(config))
        if changed:
            note = (
                f"note: {run} held results with other settings ({', '.join(changed)}); they are replaced, their stages"
            )
            print(f"{note} kept. --set name=NAME keeps both", file=sys.stderr)
    (run / COMPLETE).unlink(missing_ok=True)
    run.mkdir(parents=True, exist_ok=True)
    for name in ("seeds", "metrics"):
        shutil.rmtree(run / name, ignore_errors=True)
    write_json(run / "experiment.json", as_tables(config))
    for plan in plans:
        _collect(plan, root, run)
    examples = [e for plan in plans for e in read_json(plan.evaluation.folder(root) / "examples.json")]
    write_json(run / "examples.json", examples)
    records = [read_record(stage, root) for stage in stages]
    write_json(run / "provenance.json", _provenance(config, plans, records, root, device))
    for name in _reporters():
        plugins.load("sbp_bayes.reporters", name)(run)


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
    for name in _reporters():
        plugins.load("sbp_bayes.reporters", name)(run)


def _reporters() -> list[str]:
    """Reporters in the order of their names' numbers: ``1-summary`` before ``2-report``."""
    return sorted(plugins.names("sbp_bayes.reporters"))


def _plugin_versions() -> dict[str, str]:
    groups = ("sbp_bayes.sources", "sbp_bayes.synthesizers", "sbp_bayes.evaluators", "sbp_bayes.reporters")
    return {f"{group} {name}": plugins.version(group, name) for group in groups for name in plugins.names(group)}


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not usable here ({str(error).splitlines()[0]})") from error
    return name


def _collect(plan, stages: Path, run: Path) -> None:
    """Copy what readers of the run folder need from one seed's stages."""
    seed = str(plan.seed)
    (run / "seeds" / seed).mkdir(parents=True)
    for name in ("results.json", "results.parquet", "examples.json"):
        shutil.copy(plan.evaluation.folder(stages) / name, run / "seeds" / seed / name)
    (run / "metrics" / seed).mkdir(parents=True)
    for subject, stage in plan.models.items():
        shutil.copy(stage.folder(stages) / "metrics.jsonl", run / "metrics" / seed / f"{subject}.jsonl")
    links = {name: os.path.relpath(stage.folder(stages), run) for name, stage in plan.stages.items()}
    write_json(run / "seeds" / seed / "stages.json", links)


def _provenance(config: ExperimentConfig, plans, records: list[dict], stages: Path, device: str) -> dict:
    """Where the results come from: versions, commit, machine, worlds, and what each stage spent."""
    return {
        "version": __version__,
        "commit": _commit(),
        "packages": {name: _package_version(name) for name in REPORTED_PACKAGES},
        "plugins": _plugin_versions(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "device": device,
        "seeds": list(config.seeds),
        "sources": {str(p.seed): read_json(p.corpus.folder(stages) / "source.json") for p in plans},
        "ledger": [{**entry, "seconds": record["seconds"]} for record in records for entry in record["ledger"]],
        "stages": [{k: record[k] for k in ("name", "kind", "seconds")} for record in records],
    }


def _commit() -> str | None:
    """The git commit of the code, marked when the working tree differs from it; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", here, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or "unknown"
    return f"{model}, {os.cpu_count()} cores"
