"""Tasks on datatrove's executors (extra cluster): its own local pool, Slurm, Ray.

Which tasks are finished is told by our markers alone (`sbp_bayes.engines.tasks`), so that a folder may go on under
another engine; datatrove's logs, with Slurm's script and output, lie in ``FOLDER/datatrove/STAMP``.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sbp_bayes.engines.options import Engine
from sbp_bayes.engines.tasks import Task
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, write_json

JOB = "slurm-job.json"


def run_by_datatrove(tasks: Sequence[Task], folder: Path, engine: Engine, name: str) -> bool:
    """Give ``tasks`` to the executor that ``engine`` names; True when it has returned from them, False when Slurm has
    them in its queue. UserError: datatrove, Ray or Slurm is not there, or a partition is missing."""
    if find_spec("datatrove") is None:
        raise UserError(f"--engine {engine.engine}: needs the extra cluster: pip install -e '.[cluster]'")
    if engine.engine == "slurm":
        return _by_slurm(tasks, folder, engine, name)
    if engine.engine == "ray" and find_spec("ray") is None:
        raise UserError("--engine ray: needs Ray: pip install ray")
    executor(tasks, folder, engine, name).run()
    return True


def executor(tasks: Sequence[Task], folder: Path, engine: Engine, name: str):
    """The datatrove executor of ``tasks``, a rank for each, not started yet."""
    from sbp_bayes.engines.datatrove_step import TaskList

    folder = folder.absolute()
    shared = {
        "pipeline": [TaskList(tasks, folder, raising=engine.engine == "slurm")],
        "tasks": len(tasks),
        "logging_dir": str(folder / "datatrove" / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}"),
    }
    if engine.engine == "datatrove-local":
        from datatrove.executor.local import LocalPipelineExecutor

        return LocalPipelineExecutor(**shared, workers=engine.local_workers)
    resources = {
        "workers": engine.workers or -1,
        "cpus_per_task": engine.threads,
        "mem_per_cpu_gb": engine.memory_gb,
        "gpus_per_task": engine.gpus,
    }
    if engine.engine == "ray":
        from datatrove.executor.ray import RayPipelineExecutor

        return RayPipelineExecutor(**shared, **resources)
    from datatrove.executor.slurm import SlurmPipelineExecutor

    return SlurmPipelineExecutor(
        **shared,
        **resources,
        time=engine.time,
        partition=engine.partition,
        job_name=name.replace(" ", "-"),
        qos="",
        env_command=f'export PATH="{Path(sys.executable).parent}:$PATH"',
    )


def _by_slurm(tasks: Sequence[Task], folder: Path, engine: Engine, name: str) -> bool:
    if not engine.partition:
        raise UserError("--engine slurm: needs --partition NAME (sinfo lists them)")
    job = read_json(folder / JOB)["job"] if (folder / JOB).exists() else None
    if job and _is_queued(job):
        print(f"{name}: {len(tasks)} shards to go, Slurm's job {job} is at them", file=sys.stderr)
        return False
    submission = executor(tasks, folder, engine, name)
    try:
        submission.run()
    except (OSError, subprocess.CalledProcessError) as error:
        script = Path(submission.logging_dir.path) / "launch_script.slurm"
        raise UserError(f"--engine slurm: sbatch did not take {script} ({error})") from error
    write_json(folder / JOB, {"job": submission.job_id, "logs": submission.logging_dir.path})
    print(
        f"{name}: {len(tasks)} shards submitted as Slurm's job {submission.job_id}; when it has ended the same command "
        "goes on",
        file=sys.stderr,
    )
    return False


def _is_queued(job: str) -> bool:
    """Whether Slurm still has the job, waiting or running; a job that it has forgotten is not."""
    try:
        found = subprocess.run(["squeue", "--noheader", "--job", job], capture_output=True, text=True)
    except OSError as error:
        raise UserError(f"--engine slurm: squeue can't be run ({error.strerror})") from error
    return found.returncode == 0 and bool(found.stdout.strip())
