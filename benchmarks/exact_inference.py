"""Documents per CPU-second of exact inference in the concept HMM, beside plain log space, Pyro and other libraries.

    python benchmarks/exact_inference.py

C = 64 concepts, S = 8 states, V = 64 words, T = 64 tokens, float64, one thread. CPU time, so that a busy machine
changes little; all methods in one process, best of three. hmmlearn (C++) and dynamax (JAX) are timed where installed.
A million documents are then streamed through the posterior. Writes benchmarks/results/exact_inference.json.
"""

import json
import platform
import resource
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sbp_bayes.run_folder import package_version
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


def hmmlearn_posterior(world: ConceptHMM, tokens: Tensor) -> Tensor:
    """(B, C) log p(c | d) by hmmlearn's public interface, a model a concept and a call a document."""
    from hmmlearn.hmm import CategoricalHMM

    likelihood = torch.empty(len(tokens), world.C, dtype=torch.float64)
    for c in range(world.C):
        model = CategoricalHMM(world.initial.shape[1], n_features=world.V)
        model.startprob_, model.transmat_ = world.initial[c].numpy(), world.transition[c].numpy()
        model.emissionprob_ = world.emission[c].numpy()
        for row, document in enumerate(tokens.numpy()):
            likelihood[row, c] = model.score(document[:, None])
    return (world.log_prior + likelihood).log_softmax(-1)


def dynamax_posterior(world: ConceptHMM, tokens: Tensor) -> Tensor:
    """(B, C) log p(c | d) by dynamax's filter, compiled, over all documents and concepts at once."""
    return torch.from_numpy(np.array(_dynamax_filter()(*_jax_arrays(world), tokens.numpy()))).log_softmax(-1)


@cache
def _dynamax_filter() -> Callable:
    import jax

    jax.config.update("jax_enable_x64", True)
    from dynamax.hidden_markov_model.inference import hmm_filter

    def joint(log_prior, initial, transition, emission, tokens):
        likelihoods = jax.numpy.log(emission.T[tokens])
        return log_prior + hmm_filter(initial, transition, likelihoods).marginal_loglik

    over_concepts = jax.vmap(joint, in_axes=(0, 0, 0, 0, None))
    return jax.jit(jax.vmap(over_concepts, in_axes=(None, None, None, None, 0)))


def _jax_arrays(world: ConceptHMM) -> tuple:
    return tuple(values.numpy() for values in (world.log_prior, world.initial, world.transition, world.emission))


def predictive_at_every_position(world: ConceptHMM, tokens: Tensor) -> Tensor:
    """(B, T, V) log p(x_t | x_<t)."""
    return exact.next_token_log_probs(world, tokens)


def documents_per_cpu_second(
    method: Callable[[ConceptHMM, Tensor], Tensor], world: ConceptHMM, tokens: Tensor
) -> float:
    """Best of `REPEATS`, after one call to warm up."""
    method(world, tokens)
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time()
        method(world, tokens)
        best = min(best, time.process_time() - start)
    return len(tokens) / best


def stream(world: ConceptHMM, n: int, batch: int = 50_000) -> dict:
    """Evidence of ``n`` documents drawn and scored a batch at a time, and how far peak memory rose meanwhile."""
    random = torch.Generator().manual_seed(1)
    before, start, total = peak_memory_MB(), time.process_time(), 0.0
    for _ in range(n // batch):
        total += float(exact.log_evidence(world, world.sample(batch, random).tokens).sum())
    return {
        "documents": n,
        "batch": batch,
        "cpu_seconds_sampling_included": round(time.process_time() - start, 1),
        "peak_memory_rise_MB": round(peak_memory_MB() - before, 1),
        "mean_evidence_nats": round(total / n, 4),
    }


def peak_memory_MB() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
    if find_spec("hmmlearn"):
        methods["hmmlearn, posterior"] = (hmmlearn_posterior, 32)
    if find_spec("dynamax"):
        methods["dynamax, posterior"] = (dynamax_posterior, 512)
    rates = {}
    for name, (method, n) in methods.items():
        rates[name] = documents_per_cpu_second(method, world, tokens[:n])
        print(f"{name:<46} {rates[name]:>10,.0f} documents/CPU-s", flush=True)
    some = tokens[:32]
    reference = log_space_posterior(world, some)
    posteriors = [name for name in methods if name.endswith("posterior") and not name.startswith("log-space")]
    errors = {name: methods[name][0](world, some) - reference for name in posteriors}
    largest = {name: float(difference.abs().max()) for name, difference in errors.items()}
    print(f"largest difference from log space, nats: {largest}")
    streamed = stream(world, 1_000_000)
    print(f"a million documents: {streamed}")
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
        "a_million_documents": streamed,
        "world": world.spec(),
        "device": cpu_name(),
        "versions": {
            "python": platform.python_version(),
            **{name: package_version(name) for name in ("torch", "pyro-ppl", "numpy", "hmmlearn", "dynamax", "jax")},
        },
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
