"""Documents of several requests, written together."""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.synthesis.sampler import SamplingConfig, Written, write

GATHER_SECONDS = 0.005  # requests that come within this time of the first one join its batch


@dataclass
class Job:
    """A request's documents: N prompts, the law they are drawn by, and uniforms (N, max_tokens + 1)."""

    prompts: list[np.ndarray]
    config: SamplingConfig
    uniforms: torch.Tensor
    written: Future = field(default_factory=Future)


class Batches:
    """One thread that writes for all others: jobs of one law that wait together, ``batch_size`` rows at a time."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, batch_size: int):
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.waiting: deque[Job] = deque()
        self.arrived = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def write(self, job: Job) -> list[Written]:
        """The documents of ``job``, when they are written; raises what writing them raised."""
        with self.arrived:
            self.waiting.append(job)
            self.arrived.notify()
        return job.written.result()

    def _run(self) -> None:
        while True:
            with self.arrived:
                self.arrived.wait_for(lambda: self.waiting)
                self.arrived.wait_for(self._is_full, timeout=GATHER_SECONDS)
                jobs = self._take()
            try:
                documents = self._write(jobs)
            except Exception as error:  # it belongs to those who asked, and the others still wait
                for job in jobs:
                    job.written.set_exception(error)
                continue
            for job in jobs:
                job.written.set_result([next(documents) for _ in job.prompts])

    def _is_full(self) -> bool:
        return sum(len(job.prompts) for job in self.waiting) >= self.batch_size

    def _take(self) -> list[Job]:
        """The first job and those of its law behind it, as far as a batch has room."""
        config, rows = self.waiting[0].config, 0
        taken: list[Job] = []
        left: deque[Job] = deque()
        for job in self.waiting:
            if job.config == config and (not taken or rows + len(job.prompts) <= self.batch_size):
                taken.append(job)
                rows += len(job.prompts)
            else:
                left.append(job)
        self.waiting = left
        return taken

    def _write(self, jobs: list[Job]) -> Iterator[Written]:
        prompts = [prompt for job in jobs for prompt in job.prompts]
        uniforms = torch.cat([job.uniforms for job in jobs])
        documents: list[Written] = []
        for start in range(0, len(prompts), self.batch_size):
            rows = slice(start, start + self.batch_size)
            documents += write(self.model, prompts[rows], jobs[0].config, self.tokenizer, uniforms[rows])
        return iter(documents)
