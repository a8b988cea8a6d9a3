"""The one step of the pipelines that datatrove runs: rank i does task i. Imported only where datatrove is installed."""

from collections.abc import Sequence
from pathlib import Path

from datatrove.pipeline.base import PipelineStep

from sbp_bayes.engines.tasks import Task, is_finished, perform


class TaskList(PipelineStep):
    """raising: whether a failure ends the rank too, which tells Slurm; elsewhere it would stop the other ranks."""

    name, type = "shards", "sbp-bayes"

    def __init__(self, tasks: Sequence[Task], folder: Path, raising: bool):
        super().__init__()
        self.tasks, self.folder, self.raising = list(tasks), folder, raising

    def run(self, data, rank: int = 0, world_size: int = 1) -> None:
        task = self.tasks[rank]
        # A job that Slurm started a second time finds what the first has done.
        reason = "" if is_finished(task, self.folder) else perform(task, self.folder)
        if reason and self.raising:
            raise RuntimeError(f"{task.name}: {reason}")
