"""What lies in a run folder: copies of what a reader needs from the stages, and where the results come from."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

from sbp_bayes import __version__, plugins
from sbp_bayes.estimate import Estimate, compared
from sbp_bayes.experiment import ExperimentConfig, as_tables
from sbp_bayes.files import read_json, write_json
from sbp_bayes.graph import Stage, in_order, read_record
from sbp_bayes.plan import SeedPlan

REPORTED_PACKAGES = ("torch", "triton", "pyro-ppl", "numpy", "scipy", "pyarrow", "tokenizers", "faiss-cpu")


def write_run_folder(
    run: Path,
    config: ExperimentConfig,
    plans: list[SeedPlan],
    stages: Path,
    device: str,
    estimates: dict[str, Estimate],
) -> None:
    """Write an experiment's folder anew from its finished stages: everything but what reporters write."""
    run.mkdir(parents=True, exist_ok=True)
    for name in ("seeds", "metrics"):
        shutil.rmtree(run / name, ignore_errors=True)
    write_json(run / "experiment.json", as_tables(config))
    for plan in plans:
        _collect(plan, stages, run)
    examples = [e for plan in plans for e in read_json(plan.evaluation.folder(stages) / "examples.json")]
    write_json(run / "examples.json", examples)
    ordered = in_order([plan.evaluation for plan in plans])
    records = [read_record(stage, stages) for stage in ordered]
    provenance = _provenance(config, plans, records, stages, device)
    write_json(run / "provenance.json", provenance | {"estimate": compared(estimates, ordered, stages)})


def _collect(plan, stages: Path, run: Path) -> None:
    """Copy what readers of the run folder need from one seed's stages."""
    seed = str(plan.seed)
    (run / "seeds" / seed).mkdir(parents=True)
    evaluation = plan.evaluation.folder(stages)
    for name in ("results.json", "results.parquet", "examples.json"):
        shutil.copy(evaluation / name, run / "seeds" / seed / name)
    for file in extra_files(evaluation):
        shutil.copy(file, run / "seeds" / seed / file.name)
    (run / "metrics" / seed).mkdir(parents=True)
    for subject, stage in plan.models.items():
        shutil.copy(stage.folder(stages) / "metrics.jsonl", run / "metrics" / seed / f"{subject}.jsonl")
    links = {name: os.path.relpath(stage.folder(stages), run) for name, stage in plan.stages.items()}
    write_json(run / "seeds" / seed / "stages.json", links)


def extra_files(evaluation: Path) -> list[Path]:
    """The JSON files that evaluators left beside results and examples: findings, numbers behind pictures."""
    joined = ("results.json", "examples.json")
    return [file for file in sorted(evaluation.glob("*/*.json")) if file.name not in joined]


def _provenance(config: ExperimentConfig, plans, records: list[dict], stages: Path, device: str) -> dict:
    """Where the results come from: versions, commit, machine, worlds, and what each stage spent."""
    return {
        "version": __version__,
        "commit": _commit(),
        "packages": {name: package_version(name) for name in REPORTED_PACKAGES},
        "plugins": plugins.versions(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "device": device,
        "seeds": list(config.seeds),
        "sources": {str(p.seed): read_json(p.corpus.folder(stages) / "source.json") for p in plans},
        "compute": {str(p.seed): _compute(p, stages) for p in plans},
        "ledger": [{**entry, "seconds": record["seconds"]} for record in records for entry in record["ledger"]],
        "stages": [{k: record[k] for k in ("name", "kind", "seconds")} for record in records],
    }


def _compute(plan: SeedPlan, stages: Path) -> dict[str, dict[str, float]]:
    """arm -> FLOPs of its own training, and of every stage that it rests on, evaluations left out; what two arms share
    counts for both."""

    def flops(stage: Stage) -> float:
        return sum(entry["flops"] for entry in read_record(stage, stages)["ledger"])

    arms = {name.removeprefix("arm "): stage for name, stage in plan.models.items() if name.startswith("arm ")}
    return {
        name: {"training": flops(stage), "end to end": sum(map(flops, in_order([stage])))}
        for name, stage in arms.items()
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


def package_version(name: str) -> str | None:
    """The version of a package, None where it is not installed."""
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
