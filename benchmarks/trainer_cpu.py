"""Training speed on one CPU thread against a plain GPT loop: ``python benchmarks/trainer_cpu.py``.

At each size the trainer and the loop of plain_gpt.py (what nanoGPT does, in PyTorch alone) train models of one width,
depth and number of parameters on batches of one shape, turn by turn in one process, eager and compiled. The figure is
tokens per second of processor time, which on one thread is the time itself where nothing else runs; the trainer's
includes what it does besides: packing, metrics, saving the weights twice. Ratios are of medians. Compiling is timed
with an empty cache and with a full one. Prints a table and writes it, with the device and the versions, to
benchmarks/results/trainer_cpu.json; rows of sizes that are not run stay as they are there.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plain_gpt
import torch
import torch._inductor.config as inductor
from cpu_device import cpu_device

from sbp_bayes.documents.packing import Mixture, Packed
from sbp_bayes.files import read_json, write_json
from sbp_bayes.model.sizes import model_config, size_named
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator, numpy_generator
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.trainer import train

RESULTS = Path(__file__).parent / "results" / "trainer_cpu.json"


@dataclass(frozen=True)
class Case:
    """A size of the dial and a batch: ``rows`` sequences of ``context`` targets; ``steps`` of them are timed."""

    size: str
    rows: int
    context: int
    vocabulary: int
    steps: int


# The demo's world, the text experiment, and sentences of a real tokenizer.
CASES = [Case("0.1M", 64, 17, 35, 200), Case("1M", 32, 46, 2048, 24), Case("10M", 4, 256, 8192, 6)]


class RandomSequences:
    """N sequences of uniformly random tokens."""

    def __init__(self, n: int, targets: int, vocabulary: int):
        self.tokens = numpy_generator("benchmark").integers(0, vocabulary, (n, targets + 1))
        self.lengths = np.full(n, targets, dtype=np.int64)
        self.fingerprint = f"{n} random sequences"

    def __len__(self) -> int:
        return len(self.tokens)

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self.tokens[i], np.ones(self.tokens.shape[1] - 1, dtype=np.float32)

    def name(self, i: int) -> str:
        return f"sequence {i}"


def plain_shape(case: Case) -> plain_gpt.Shape:
    """The GPT of the size's width, depth and heads whose MLP is so wide that it has as many parameters."""
    size = size_named(case.size)
    with torch.device("meta"):
        parameters = Transformer(model_config(case.size, case.vocabulary)).parameters_count
    gains = (2 * size.layers + 1) * size.width
    tables = (case.vocabulary + case.context) * size.width
    hidden = (parameters - tables - gains - 4 * size.layers * size.width**2) / (2 * size.layers * size.width)
    return plain_gpt.Shape(case.vocabulary, case.context, size.layers, size.width, size.heads, round(hidden))


def train_plain(case: Case, steps: int, compiled: bool) -> None:
    """A run of the plain loop."""
    stream = numpy_generator("benchmark").integers(0, case.vocabulary, 64 * case.rows * case.context).astype(np.uint16)
    model, rate = plain_gpt.GPT(plain_shape(case)), size_named(case.size).learning_rate
    plain_gpt.train(model, stream, steps, case.rows, case.context, rate, compiled)


def train_ours(case: Case, steps: int, compiled: bool) -> None:
    """A run of the trainer, as an arm's stage does it but for held-out losses."""
    model = Transformer(model_config(case.size, case.vocabulary)).init(generator("benchmark"))
    packed = Packed(RandomSequences(64 * case.rows, case.context, case.vocabulary), case.context, 0)
    config = TrainingConfig(
        steps=steps,
        context=case.context,
        batch_tokens=case.rows * case.context,
        learning_rate=size_named(case.size).learning_rate,
        compile="on" if compiled else "off",
    )
    with tempfile.TemporaryDirectory() as folder:
        train(model, Mixture([(packed, 1.0)], 0), config, Path(folder), name=case.size)


CONTENDERS: dict[str, tuple[Callable[[Case, int, bool], None], bool]] = {
    "plain GPT loop": (train_plain, False),
    "trainer": (train_ours, False),
    "plain GPT loop, compiled": (train_plain, True),
    "trainer, compiled": (train_ours, True),
}


def measure(case: Case, names: list[str], repeats: int) -> dict:
    """Rates of every contender, and what compiling costs, in this process."""
    compiling = {name: _compiling_seconds(case, *CONTENDERS[name]) for name in names if CONTENDERS[name][1]}
    rates: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        CONTENDERS[name][0](case, 2, CONTENDERS[name][1])
    for _ in range(repeats):
        for name in names:
            run, compiled = CONTENDERS[name]
            seconds = processor_seconds(lambda run=run, compiled=compiled: run(case, case.steps, compiled))
            rates[name].append(case.steps * case.rows * case.context / seconds)
    medians = {name: float(np.median(found)) for name, found in rates.items()}
    return {
        "tokens_per_second": medians,
        "times_the_plain_loop": {name: rate / medians["plain GPT loop"] for name, rate in medians.items()},
        "rates": rates,
        "compiling_seconds": compiling,
    }


def _compiling_seconds(case: Case, run: Callable[[Case, int, bool], None], compiled: bool) -> dict[str, float]:
    """Processor seconds of a run of one step with an empty and with a full compiler cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        found = {}
        for cache in ("empty", "full"):
            torch._dynamo.reset()
            found[cache] = processor_seconds(lambda: run(case, 1, compiled))
    return found


def processor_seconds(work: Callable[[], None]) -> float:
    """Seconds of processor time of this process and of the compilers that it starts."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=[case.size for case in CASES])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--eager", action="store_true", help="leave torch.compile out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    inductor.compile_threads = 1  # compile in this process, whose time is taken
    names = [name for name, (_, compiled) in CONTENDERS.items() if not (options.eager and compiled)]
    rows = []
    for case in (case for case in CASES if case.size in options.sizes):
        row = {
            **vars(case),
            "date": time.strftime("%Y-%m-%d"),
            "plain_shape": vars(plain_shape(case)),
            **measure(case, names, options.repeats),
        }
        rows.append(row)
        for name, rate in row["tokens_per_second"].items():
            times = row["times_the_plain_loop"][name]
            print(f"{case.size:>5}  {name:25} {rate:9,.0f} tokens/s  {times:5.2f}x", flush=True)
    before = read_json(options.out)["rows"] if options.out.exists() else []
    found = {row["size"]: row for row in [*before, *rows]}
    ordered = [found[case.size] for case in CASES if case.size in found]
    write_json(options.out, {"device": cpu_device(), "rows": ordered})


if __name__ == "__main__":
    main()
