"""Training speed on one CPU thread, with and without torch.compile: ``python benchmarks/trainer_cpu.py``.

Each row runs the trainer itself in a process of its own, without evaluation; compiled rows run twice, with an empty
compiler cache and with a full one. Prints a table and writes it, with the device and the versions, to
benchmarks/results/trainer_cpu.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from sbp_bayes.documents.packing import Mixture, Packed
from sbp_bayes.files import write_json
from sbp_bayes.model.sizes import model_config, size_named
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator, numpy_generator
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.trainer import train

# size, documents a batch, targets a document, vocabulary: the demo's world and the text experiment.
CASES = [("0.1M", 64, 17, 35), ("1M", 32, 46, 2048)]
STEPS = 150
RESULTS = Path(__file__).parent / "results" / "trainer_cpu.json"


class RandomSequences:
    """N sequences of uniformly random tokens."""

    def __init__(self, n: int, targets: int, vocabulary: int):
        self.tokens = numpy_generator("benchmark").integers(0, vocabulary, (n, targets + 1))
        self.lengths = np.full(n, targets, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.tokens)

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self.tokens[i], np.ones(self.tokens.shape[1] - 1, dtype=np.float32)

    def name(self, i: int) -> str:
        return f"sequence {i}"


def train_once(size: str, rows: int, targets: int, vocabulary: int, compiled: str, steps: int) -> float:
    """Seconds of one run of ``steps`` steps."""
    model = Transformer(model_config(size, vocabulary)).init(generator("benchmark"))
    mixture = Mixture([(Packed(RandomSequences(4096, targets, vocabulary), targets, 0), 1.0)], 0)
    config = TrainingConfig(
        steps=steps,
        context=targets,
        batch_tokens=rows * targets,
        learning_rate=size_named(size).learning_rate,
        compile=compiled,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(model, mixture, config, Path(folder), name=f"{size} {compiled}")
        return json.loads((Path(folder) / "timing.json").read_text())["seconds"]


def measure(case: tuple, compiled: str) -> dict:
    """First step's seconds (compiling is in it) and tokens per second after it, in this process."""
    torch.set_num_threads(1)
    first = train_once(*case, compiled, 1)
    rates = [STEPS * case[1] * case[2] / train_once(*case, compiled, STEPS) for _ in range(3)]
    return {"first_step_seconds": first, "tokens_per_second": float(np.median(rates)), "rates": rates}


def in_fresh_process(case: tuple, compiled: str, cache: str) -> dict:
    """`measure` in a process whose compiler cache is ``cache``."""
    command = [sys.executable, __file__, "--case", json.dumps(case), "--compile", compiled]
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--compile", choices=("on", "off"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(tuple(options.case), options.compile)))
        return
    rows = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as cache:
            for compiled, state in (("off", "-"), ("on", "cold"), ("on", "warm")):
                figures = in_fresh_process(case, compiled, cache)
                shape = dict(zip(("size", "batch_rows", "targets", "vocabulary"), case, strict=True))
                rows.append({**shape, "compile": compiled, "cache": state, **figures})
                print(
                    f"{case[0]:>5}  compile {compiled:3} {state:4}  first step {figures['first_step_seconds']:6.2f} s"
                    f"  {figures['tokens_per_second']:9,.0f} tokens/s",
                    flush=True,
                )
    device = {"processor": _processor(), "threads": 1, "torch": torch.__version__, "python": platform.python_version()}
    write_json(RESULTS, {"device": device, "date": time.strftime("%Y-%m-%d"), "steps": STEPS, "rows": rows})


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
