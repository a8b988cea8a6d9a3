"""The options that say where the work on shards runs, the same for every command."""

import os
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Engine:
    """Where the work on shards runs. A command has these as its own options (`tyro.conf.OmitArgPrefixes`)."""

    engine: Literal["processes", "datatrove-local", "slurm", "ray"] = "processes"
    """processes: on this machine; the others by datatrove (extra cluster), slurm and ray on a shared file system."""
    workers: int = 0
    """Shards at once; 0: one a core, at most 8; on slurm and ray as many as there is room for."""
    threads: int = 1
    """Threads of each worker; on slurm and ray its CPUs."""
    partition: str = ""
    """Slurm's partition."""
    time: str = "24:00:00"
    """Slurm's limit for one shard."""
    memory_gb: int = 4
    """Memory of each CPU on slurm and ray."""
    gpus: int = 0
    """GPUs of each worker on slurm and ray."""

    @property
    def local_workers(self) -> int:
        """Shards at once on this machine."""
        return self.workers or max(1, min(8, os.cpu_count() or 1))


HERE = Engine()
