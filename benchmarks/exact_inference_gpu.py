"""Documents a second of exact inference on a GPU: the Triton kernels beside the PyTorch forms on the same device.

    python benchmarks/exact_inference_gpu.py

C = 64 concepts, S = 8 states, V = 64 words, T = 64 tokens, float64; best of five, after one call to warm up. The bar is
20 times the PyTorch form. Writes benchmarks/results/exact_inference_gpu.json. Without a CUDA device nothing is timed
and nothing estimated: rates are null in the record, which is written only where there is none yet.
"""

import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from synthetic_worlds import hmm_forward
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.hmm import ConceptHMM
from synthetic_worlds.world import ConceptWorld

RESULT = Path(__file__).parent / "results" / "exact_inference_gpu.json"
DIALS = {"concepts": 64, "vocabulary": 64, "length": 64}
DOCUMENTS = 65_536
REPEATS = 5
BAR = 20.0


def bag_posterior(world: BagOfWords, tokens: Tensor) -> Tensor:
    """(B, C) by the kernel."""
    return world.update_belief(world.prior_belief(len(tokens)), tokens)[0]


def bag_posterior_in_torch(world: BagOfWords, tokens: Tensor) -> Tensor:
    """(B, C) by `embedding_bag` and logsumexp."""
    return ConceptWorld.update_belief(world, world.prior_belief(len(tokens)), tokens)[0]


def bag_prefixes(world: BagOfWords, tokens: Tensor) -> Tensor:
    """(B, T) by the kernel."""
    return world.prefix_log_probs(world.prior_belief(len(tokens)), tokens)


def bag_prefixes_in_torch(world: BagOfWords, tokens: Tensor) -> Tensor:
    """(B, T) by gather, cumsum and logsumexp, in the world's chunks."""
    parts = tokens.split(world.chunk)
    return torch.cat([ConceptWorld.prefix_log_probs(world, world.prior_belief(len(some)), some) for some in parts])


def hmm_likelihood(world: ConceptHMM, tokens: Tensor) -> Tensor:
    """(B, C) by the kernel."""
    return world.log_likelihood(tokens)


def hmm_likelihood_in_torch(world: ConceptHMM, tokens: Tensor) -> Tensor:
    """(B, C) by one batched product a step, in chunks of a GPU's size."""
    parts = tokens.split(world.models.chunk)
    return torch.cat([hmm_forward.scaled_log_likelihood(world.models, some)[0] for some in parts])


METHODS: dict[str, tuple[str, Callable, Callable]] = {
    "bow, posterior": ("bow", bag_posterior, bag_posterior_in_torch),
    "bow, evidence of every prefix": ("bow", bag_prefixes, bag_prefixes_in_torch),
    "hmm, likelihood of every concept": ("hmm", hmm_likelihood, hmm_likelihood_in_torch),
}


def documents_per_second(method: Callable, world: ConceptWorld, tokens: Tensor) -> float:
    """Best of `REPEATS`."""
    method(world, tokens)
    best = float("inf")
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        method(world, tokens)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return len(tokens) / best


def measure(name: str) -> dict:
    """Rates of kernel and PyTorch form, their ratio, and how far apart their results are in nats."""
    world_name, kernel, form = METHODS[name]
    states = {"states": 8} if world_name == "hmm" else {}
    world = make_world(world_name, **DIALS, **states)
    tokens = world.sample(DOCUMENTS, torch.Generator().manual_seed(0)).tokens.cuda()
    world = world.to("cuda")
    rate, rate_in_torch = (documents_per_second(method, world, tokens) for method in (kernel, form))
    difference = float((kernel(world, tokens) - form(world, tokens)).abs().max())
    row = {"kernel": rate, "torch": rate_in_torch, "ratio": rate / rate_in_torch, "largest_difference_nats": difference}
    verdict = "meets" if row["ratio"] >= BAR else "misses"
    print(f"{name:<34} {rate:>13,.0f} {rate_in_torch:>13,.0f} documents/s, {row['ratio']:.1f} times: {verdict} {BAR:g}")
    return row


def main() -> None:
    """Time what there is a device for and write the record."""
    there = torch.cuda.is_available()
    if not there:
        print("no CUDA device: nothing timed")
        if RESULT.exists():
            return
    record = {
        "size": {**DIALS, "states": 8, "documents": DOCUMENTS},
        "dtype": "float64",
        "unit": "documents/second",
        "bar": BAR,
        "rows": {name: measure(name) if there else None for name in METHODS},
        "device": torch.cuda.get_device_name() if there else None,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "triton")}}
        if there
        else None,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
