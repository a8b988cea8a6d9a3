"""Speed of training on one GPU, against the same model in transformers: ``python benchmarks/trainer_gpu.py``.

Tokens per second, model FLOPs utilisation (MFU) and peak memory at 125M, 1B and 3B of the dial: bfloat16 products with
float32 weights, batches of full rows of random tokens. Ours runs the trainer's step (model placed as in a run of
precision bfloat16, loss, clipping, AdamW), eager and compiled; the others the same Qwen3 shape from transformers with
the same optimiser under autocast, with torch.compile and with Liger's kernels where it is installed. MFU counts the
FLOPs of `sbp_bayes.ledger` against the GPU's known dense peak. Each size and form runs in a process of its own, so that
none finds the other's memory.

Writes benchmarks/results/trainer_gpu.json with device and versions. Without a CUDA device nothing is timed and nothing
estimated: numbers are null in the record, which is written only where there is none yet.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sbp_bayes.files import write_json
from sbp_bayes.ledger import training_flops
from sbp_bayes.model.sizes import model_config, size_named
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.run_folder import package_version
from sbp_bayes.seeds import generator
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.device_peaks import peak_flops
from sbp_bayes.training.objective import weighted_loss
from sbp_bayes.training.optimiser import make_optimiser
from sbp_bayes.training.parallel import alone
from sbp_bayes.training.sharding import place

RESULTS = Path(__file__).parent / "results" / "trainer_gpu.json"
PACKAGES = ("torch", "triton", "transformers", "liger-kernel")
VOCABULARY, CONTEXT = 49_152, 4_096
ROWS = {"125M": 16, "1B": 8, "3B": 4}  # rows of a step
FORMS = ("ours", "ours, compiled", "transformers, compiled", "transformers with Liger")
WARM_UP, STEPS = 5, 20

# A function that returns the loss of a step's batch, the model, and its optimiser.
Step = tuple[Callable[[], Tensor], nn.Module, Optimizer]


def our_step(size: str, settings: TrainingConfig, tokens: Tensor) -> Step:
    """The trainer's, of tokens (R, T + 1) on the device that trains."""
    device = tokens.device
    model = Transformer(model_config(size, VOCABULARY)).to(device).init(generator("benchmark", device=device))
    place(model, alone(device, sharded=True), settings)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    weights = torch.ones(inputs.shape, device=device)
    optimiser = make_optimiser(model, settings)
    return lambda: weighted_loss(model, inputs, targets, weights) / weights.numel(), model, optimiser


def their_step(size: str, settings: TrainingConfig, tokens: Tensor) -> Step:
    """`our_step` for transformers' Qwen3 of the same shape; Liger's kernels where ``settings`` do not compile."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    liger = settings.compile == "off"
    if liger:
        from liger_kernel.transformers import apply_liger_kernel_to_qwen3

        apply_liger_kernel_to_qwen3()
    dial = size_named(size)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=dial.width,
        intermediate_size=dial.hidden,
        num_hidden_layers=dial.layers,
        num_attention_heads=dial.heads,
        num_key_value_heads=dial.kv_heads,
        head_dim=dial.head_dim,
        tie_word_embeddings=dial.tied,
        max_position_embeddings=CONTEXT,
        use_cache=False,
    )
    with torch.device("cuda"):
        model = Qwen3ForCausalLM(config)
    forward = model if liger else torch.compile(model)
    inputs = tokens[:, :-1]
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=settings.betas, weight_decay=0.1, fused=True
    )

    def loss_of() -> Tensor:
        # transformers shifts the labels itself: the last target of a row is lost, one of 4,096.
        with torch.autocast("cuda", torch.bfloat16):
            return forward(input_ids=inputs, labels=inputs).loss

    return loss_of, model, optimiser


def measure(size: str, form: str) -> dict:
    """Tokens per second, MFU and peak memory (bytes) of one form, in this process."""
    noise = torch.Generator("cuda").manual_seed(0)
    tokens = torch.randint(VOCABULARY, (ROWS[size], CONTEXT + 1), device="cuda", generator=noise)
    settings = TrainingConfig(
        steps=STEPS,
        context=CONTEXT,
        batch_tokens=ROWS[size] * CONTEXT,
        learning_rate=3e-4,
        precision="bfloat16",
        compile="on" if form.endswith("compiled") else "off",
    )
    loss_of, model, optimiser = (our_step if form.startswith("ours") else their_step)(size, settings, tokens)

    def step() -> None:
        loss_of().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimiser.step()
        optimiser.zero_grad()

    for _ in range(WARM_UP):
        step()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    torch.cuda.synchronize()
    rate = STEPS * ROWS[size] * CONTEXT / (time.perf_counter() - started)
    peak = peak_flops("cuda")
    used = None if peak is None else rate * flops_per_token(size) / peak
    return {"tokens_per_second": rate, "mfu": used, "memory_bytes": torch.cuda.max_memory_allocated(), "note": ""}


def flops_per_token(size: str) -> float:
    """Floating-point operations of training on one token of a full row."""
    with torch.device("meta"):
        model = Transformer(model_config(size, VOCABULARY))
    mean_context = (CONTEXT + 1) / 2
    return training_flops(model.matrix_parameters, model.config.layers, model.attention_width, 1, mean_context)


def in_fresh_process(size: str, form: str) -> dict:
    """`measure` in a process of its own, or a row that says why there are no numbers."""
    empty = {"tokens_per_second": None, "mfu": None, "memory_bytes": None}
    if form.endswith("Liger") and find_spec("liger_kernel") is None:
        return {**empty, "note": "liger-kernel is not installed"}
    if not torch.cuda.is_available():
        return {**empty, "note": "no CUDA device"}
    done = subprocess.run([sys.executable, __file__, "--one", size, form], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {**empty, "note": f"failed with exit code {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "FORM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one)))
        return
    rows = []
    for size in ROWS:
        for form in FORMS:
            row = {"size": size, "form": form, "rows": ROWS[size], "context": CONTEXT, **in_fresh_process(size, form)}
            rows.append(row)
            rate, used = row["tokens_per_second"], row["mfu"]
            figures = row["note"] if rate is None else f"{rate:9,.0f} tokens/s" + (f"  MFU {used:.1%}" if used else "")
            print(f"{size:>5}  {form:24} {figures}", flush=True)
    measured = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if measured else None
    versions = {"python": platform.python_version(), **{package: package_version(package) for package in PACKAGES}}
    if measured or not RESULTS.exists():
        write_json(RESULTS, {"device": device, "date": time.strftime("%Y-%m-%d"), "versions": versions, "rows": rows})


if __name__ == "__main__":
    main()
