"""Run tasks by an engine: worker processes here, or datatrove's executors where one machine is not enough."""

from collections.abc import Sequence
from pathlib import Path

from sbp_bayes.engines.options import HERE, Engine
from sbp_bayes.engines.processes import run_in_processes
from sbp_bayes.engines.tasks import Task, is_finished, last_failure, perform
from sbp_bayes.errors import UserError
from sbp_bayes.files import exclusive
from sbp_bayes.progress import Progress

NAMED = 5  # failed tasks in the message; the folder has them all


def run_tasks(tasks: Sequence[Task], folder: Path, engine: Engine = HERE, name: str = "shards") -> bool:
    """Do every task that is not finished; ``folder`` keeps the markers, ``name`` is for people.

    True when all are finished; False when slurm has them and they are still to come: the same call later goes on.
    A task that fails stops no other; UserError names those that failed, and the same call tries them again.
    """
    if engine.workers < 0 or engine.threads < 1:
        raise UserError(f"--workers {engine.workers} --threads {engine.threads}: expected 0 or more, and 1 or more")
    names = [task.name for task in tasks]
    assert len(set(names)) == len(names), "two tasks have one name"
    with exclusive(folder / ".lock", f"{name} in {folder}"):
        waiting = [task for task in tasks if not is_finished(task, folder)]
        if not waiting:
            return True
        if engine.engine == "processes":
            failures = _here(waiting, folder, engine, name, len(tasks))
        else:
            from sbp_bayes.engines.cluster import run_by_datatrove

            if not run_by_datatrove(waiting, folder, engine, name):
                return False
            failures = {task.name: last_failure(task, folder) for task in waiting if not is_finished(task, folder)}
    if failures:
        shown = "; ".join(f"{shard}: {reason}" for shard, reason in sorted(failures.items())[:NAMED])
        more = f"; and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
        raise UserError(f"{name}: {len(failures)} of {len(tasks)} failed, the others are done: {shown}{more}")
    return True


def _here(waiting: list[Task], folder: Path, engine: Engine, name: str, total: int) -> dict[str, str]:
    """Task names -> reasons of those that failed. One worker is this process itself."""
    workers = engine.local_workers
    failures: dict[str, str] = {}
    with Progress(name, total, "shards", done=total - len(waiting)) as progress:

        def told(task: Task, reason: str) -> None:
            if reason:
                failures[task.name] = reason
            progress.advance(1, **({"failed": len(failures)} if failures else {}))

        if workers == 1:
            for task in waiting:
                told(task, perform(task, folder))
        else:
            run_in_processes(waiting, folder, workers, engine.threads, told)
    return failures
