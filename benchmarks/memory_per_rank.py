"""Memory of one of many GPUs that train the paper's 3B and 6B: ``python benchmarks/memory_per_rank.py``.

Counted on the sharding plan of each (`sbp_bayes.training.memory`); needs no GPU. Prints the table of docs/training.md
and writes it to benchmarks/results/memory_per_rank.json.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import torch

from sbp_bayes.files import write_json
from sbp_bayes.model.sizes import model_config
from sbp_bayes.training.memory import memory_per_process

VOCABULARY = 49_152 + 3  # the paper's, and three special tokens
TOKENS = 2 * 4096  # two rows of the paper's context at once
# GPUs, copies of the model, activations computed again, optimiser.
CASES = [
    (1, 1, True, "adamw"),
    (1, 1, True, "adamw-bf16"),
    (8, 1, True, "adamw"),
    (8, 1, False, "adamw"),
    (64, 1, True, "adamw"),
    (64, 1, False, "adamw"),
    (64, 8, True, "adamw"),
    (64, 8, False, "adamw"),
]
PARTS = {  # of `sbp_bayes.training.memory.Memory`, and their columns
    "parameters": "weights",
    "gradients": "gradients",
    "optimiser": "optimiser states",
    "gathered": "gathered",
    "activations": "activations",
    "loss": "loss",
}
RESULTS = Path(__file__).parent / "results" / "memory_per_rank.json"


def main() -> None:
    """Count, print the table and write the record."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.parse_args()
    rows = []
    print(f"| size | GPUs | copies | activations kept | optimiser | {' | '.join(PARTS.values())} | sum |")
    print("|---" * (6 + len(PARTS)) + "|")
    for size in ("3B", "6B"):
        for gpus, copies, checkpointing, optimiser in CASES:
            memory = memory_per_process(
                model_config(size, VOCABULARY),
                gpus,
                TOKENS,
                copies,
                optimiser=optimiser,
                activation_checkpointing=checkpointing,
            )
            setting = {"size": size, "gpus": gpus, "copies": copies, "checkpointing": checkpointing}
            rows.append({**setting, "optimiser": optimiser, "bytes": {**asdict(memory), "total": memory.total}})
            figures = " | ".join(f"{getattr(memory, part) / 1e9:.1f}" for part in (*PARTS, "total"))
            kept = "no" if checkpointing else "yes"
            print(f"| {size} | {gpus} | {copies} | {kept} | {optimiser} | {figures} |", flush=True)
    setup = {"tokens_at_once": TOKENS, "vocabulary": VOCABULARY, "precision": "bfloat16", "torch": torch.__version__}
    write_json(RESULTS, {"date": time.strftime("%Y-%m-%d"), **setup, "measured": False, "rows": rows})


if __name__ == "__main__":
    main()
