"""Documents per CPU-second of exact inference in the concept HMM, beside plain log space and Pyro, on one thread.

    python benchmarks/exact_inference.py

C = 64 concepts, S = 8 states, V = 64 words, T = 64 tokens, float64. CPU time, so that a busy machine changes little;
all methods in one process, best of three. Writes benchmarks/results/exact_inference.json.
"""

import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from synthetic_worlds import exact, hmm_forward
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.hmm import ConceptHMM
from synthetic_worlds.pyro_spec import enumerated_log_posterior

RESULT = Path(__file__).parent / "results" / "exact_inference.json"
DIALS = {"concepts": 64, "states": 8, "vocabulary": 64, "length": 64}
REPEATS = 3


def log_space_posterior(world: ConceptHMM, tokens: Tensor) -> Tensor:
    """(B, C) log p(c | d) by logsumexp over states, in chunks that stay in cache."""
    parts = []
    for some in tokens.split(16):
        likelihood = hmm_forward.log_predicted(world.models, some)[:, :, -1].logsumexp(-1)
        parts.append((world.log_prior + likelihood).log_softmax(-1))
    return torch.cat(parts)


def predictive_at_every_position(world: ConceptHMM, tokens: Tensor) -> Tensor:
    """(B, T, V) log p(x_t | x_<t)."""
    return exact.next_token_log_probs(world, tokens)


def documents_per_cpu_second(
    method: Callable[[ConceptHMM, Tensor], Tensor], world: ConceptHMM, tokens: Tensor
) -> float:
    """Best of `REPEATS`, after one call to warm up."""
    method(world, tokens[:16])
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time()
        method(world, tokens)
        best = min(best, time.process_time() - start)
    return len(tokens) / best


def cpu_name() -> str:
    """The processor as Linux names it."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Time each method and write the record."""
    torch.set_num_threads(1)
    world = make_world("hmm", **DIALS)
    tokens = world.sample(4096, torch.Generator().manual_seed(0)).tokens
    methods = {
        "scaled forward, posterior": (exact.concept_log_posterior, 4096),
        "scaled forward, predictive at every position": (predictive_at_every_position, 2048),
        "log-space logsumexp, posterior": (log_space_posterior, 256),
        "Pyro enumeration, posterior": (enumerated_log_posterior, 32),
    }
    rates = {}
    for name, (method, n) in methods.items():
        rates[name] = documents_per_cpu_second(method, world, tokens[:n])
        print(f"{name:<46} {rates[name]:>10,.0f} documents/CPU-s", flush=True)
    some = tokens[:256]
    errors = {
        "scaled forward, posterior": exact.concept_log_posterior(world, some) - log_space_posterior(world, some),
        "Pyro enumeration, posterior": enumerated_log_posterior(world, some[:32])
        - log_space_posterior(world, some[:32]),
    }
    largest = {name: float(difference.abs().max()) for name, difference in errors.items()}
    print(f"largest difference from log space, nats: {largest}")
    record = {
        "size": DIALS,
        "dtype": "float64",
        "threads": 1,
        "unit": "documents/CPU-second",
        "rates": {name: round(rate, 1) for name, rate in rates.items()},
        "times_log_space": {
            name: round(rate / rates["log-space logsumexp, posterior"], 2) for name, rate in rates.items()
        },
        "largest_difference_from_log_space_nats": largest,
        "world": world.spec(),
        "device": cpu_name(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "pyro-ppl", "numpy")},
        },
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
