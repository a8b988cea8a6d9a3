"""Speed of many runs trained together against one after another: ``python benchmarks/replicas.py``.

R models of one shape train on documents of their own, once by R calls of the trainer and once by `train_together`, turn
by turn in one process, eager and compiled. On a CPU the figure is tokens, of all R, per second of processor time on one
thread; on a GPU (``--device cuda``) per second. Both include packing, metrics and saving the weights. The ceiling is
what is left to win at most: the rate of a large matrix product over that of the runs one after another, counting 6
operations per parameter and token; it is reached if all but the matrix products cost nothing. Prints a table and writes
it, with the device and the versions, to benchmarks/results/replicas.json; other rows there stay as they are.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch._inductor.config as inductor
from cpu_device import cpu_device
from trainer_cpu import Case, RandomSequences, processor_seconds

from sbp_bayes.documents.packing import Mixture, Packed
from sbp_bayes.files import read_json, write_json
from sbp_bayes.model.cpu_linear import product
from sbp_bayes.model.sizes import model_config, size_named
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.replicas import Replica, train_together
from sbp_bayes.training.trainer import train

RESULTS = Path(__file__).parent / "results" / "replicas.json"
LARGE = 1024  # rows and columns of the product that shows a device's rate

# The batch of the dial (1,088 tokens) and an eighth of it, at the two smallest sizes.
CASES = [Case(size, rows, 17, 35, steps) for size in ("0.03M", "0.1M") for rows, steps in ((64, 20), (8, 100))]


def replicas(case: Case, count: int, folder: Path, steps: int, compiled: bool) -> list[Replica]:
    """``count`` runs of ``case``, each with a start, documents and an order of its own."""
    config = TrainingConfig(
        steps=steps,
        context=case.context,
        batch_tokens=case.rows * case.context,
        learning_rate=size_named(case.size).learning_rate,
        evaluate_every=steps,
        compile="on" if compiled else "off",
    )
    packed = Packed(RandomSequences(64 * case.rows, case.context, case.vocabulary), case.context, 0)
    model = model_config(case.size, case.vocabulary)
    return [
        Replica(Transformer(model).init(generator("replica", i)), Mixture([(packed, 1.0)], i), config, folder / str(i))
        for i in range(count)
    ]


def one_after_another(runs: list[Replica], device: str) -> None:
    for run in runs:
        train(run.model, run.mixture, run.config, run.folder, name="one", device=device)


def together(runs: list[Replica], device: str) -> None:
    train_together(runs, device, name="all")


CONTENDERS: dict[str, tuple[Callable[[list[Replica], str], None], bool]] = {
    "one after another": (one_after_another, False),
    "together": (together, False),
    "one after another, compiled": (one_after_another, True),
    "together, compiled": (together, True),
}


def seconds_of(work: Callable[[], None], device: str) -> float:
    """Processor seconds on a CPU, seconds on a GPU."""
    if device == "cpu":
        return processor_seconds(work)
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def measure(case: Case, names: list[str], count: int, repeats: int, device: str) -> dict:
    """Rates of every contender, and what they say, from turns in this process."""

    def seconds(name: str, steps: int) -> float:
        train_all, compiled = CONTENDERS[name]
        with tempfile.TemporaryDirectory() as folder:
            runs = replicas(case, count, Path(folder), steps, compiled)
            return seconds_of(lambda: train_all(runs, device), device)

    first = {name: seconds(name, 2) for name in names}
    tokens = count * case.steps * case.rows * case.context
    rates = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            rates[name].append(tokens / seconds(name, case.steps))
    medians = {name: float(np.median(found)) for name, found in rates.items()}
    peak = product_rate(device)
    flops = 6 * Transformer(model_config(case.size, case.vocabulary)).matrix_parameters
    return {
        "tokens_per_second": medians,
        "times_one_after_another": {name: rate / medians["one after another"] for name, rate in medians.items()},
        "product_gflops": peak / 1e9,
        "ceiling": {name: peak / (flops * rate) for name, rate in medians.items() if name.startswith("one")},
        "rates": rates,
        "seconds_of_two_steps": first,
    }


def product_rate(device: str) -> float:
    """Operations a second of a large float32 product by the library that serves the model's."""
    x, weight = (torch.randn(LARGE, LARGE, device=device) for _ in range(2))
    product(x, weight)
    times = [seconds_of(lambda: [product(x, weight) for _ in range(20)], device) for _ in range(3)]
    return 20 * 2 * LARGE**3 / float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=sorted({case.size for case in CASES}))
    parser.add_argument("--rows", nargs="+", type=int, default=sorted({case.rows for case in CASES}))
    parser.add_argument("--replicas", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--eager", action="store_true", help="leave torch.compile out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    inductor.compile_threads = 1  # compile in this process, whose time is taken
    names = [name for name, (_, compiled) in CONTENDERS.items() if not (options.eager and compiled)]
    gpu = torch.cuda.get_device_name() if options.device != "cpu" else None
    found = {key(row): row for row in (read_json(options.out)["rows"] if options.out.exists() else [])}
    for case in (case for case in CASES if case.size in options.sizes and case.rows in options.rows):
        row = {
            **vars(case),
            "replicas": options.replicas,
            "date": time.strftime("%Y-%m-%d"),
            "device": cpu_device() | ({"gpu": gpu} if gpu else {}),
            **measure(case, names, options.replicas, options.repeats, options.device),
        }
        found[key(row)] = row
        for name, rate in row["tokens_per_second"].items():
            times, ceiling = row["times_one_after_another"][name], row["ceiling"].get(name)
            most = f"  at most {ceiling:.1f}x more" if ceiling else ""
            print(
                f"{case.size:>5} {case.rows:3} rows  {name:28} {rate:11,.0f} tokens/s {times:6.2f}x{most}", flush=True
            )
        write_json(options.out, {"rows": [found[each] for each in sorted(found)]})


def key(row: dict) -> tuple:
    """What a row of the results is about."""
    return row["device"].get("gpu", "cpu"), row["size"], row["rows"], row["replicas"]


if __name__ == "__main__":
    main()
