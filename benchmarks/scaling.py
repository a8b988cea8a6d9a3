"""The paper's corpus through every stage, by arithmetic: ``python benchmarks/scaling.py``.

Rates of the CPU stages are those measured by the other benchmarks (benchmarks/results); no GPU was measured, so GPU
time is FLOPs over a stated share of a stated peak. Prints the tables of docs/scaling.md and writes
benchmarks/results/scaling.json.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from sbp_bayes.files import write_json
from sbp_bayes.ledger import forward_flops
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer

RESULTS = Path(__file__).parent / "results"
DOCUMENTS, TOKENS = 582e6, 482e9  # DCLM as the paper has it
BYTES = 4.4 * TOKENS  # of English text in a vocabulary of 49,152: assumed
VOCABULARY = 49_152
PEAK = 989e12  # H100, dense bfloat16, by its data sheet
READING, WRITING, COMPARING = 0.40, 0.10, 0.60  # shares of the peak, assumed: training and prefill; decoding; products
CORE_HOUR, GPU_HOUR = 0.04, 2.50  # dollars, assumed
WIDTH = 1024  # of Qwen3-Embedding-0.6B's vectors
EMBEDDER = (440e6, 28, 2048)  # its matrix parameters, layers, attention width
NEIGHBOURS = 200
SYNTHETIC = 75e9  # tokens, at the paper's 200B scale
TRAINED = 200e9
PAIRS_PER_DOCUMENT = 10  # above alpha: assumed, at most 200

# Of benchmarks/pairing.py on one core of AMD EPYC, where benchmarks/results has no larger run.
SMALL_SEARCH = {"documents": 20_000, "width": 384, "cpu_seconds": 4.2}


@dataclass(frozen=True)
class Line:
    """One stage: hours of cores or GPUs, and where the rate comes from."""

    stage: str
    amount: str
    rate: str
    core_hours: float
    gpu_hours: float
    basis: str

    @property
    def dollars(self) -> float:
        return self.core_hours * CORE_HOUR + self.gpu_hours * GPU_HOUR


def stages() -> list[Line]:
    """Every stage from text to a trained model."""
    tokenising = json.loads((RESULTS / "tokenising.json").read_text())
    pairing = json.loads((RESULTS / "pairing.json").read_text())
    debian = next(row["megabytes_per_cpu_second"] for row in tokenising["rows"] if row["corpus"] == "debian")
    check = pairing["near-duplicates"]["pairs_per_cpu_second_13_gram"] * pairing["near-duplicates"]["words"]
    megabytes, words = BYTES / 1e6, TOKENS / DOCUMENTS * 0.75
    model = _model("3B")
    mean = TOKENS / DOCUMENTS / 2
    written = forward_flops(*model, SYNTHETIC, 3 * mean)  # d1 and the half of d2 that is there
    read = forward_flops(*model, SYNTHETIC, mean)
    pairs = DOCUMENTS * PAIRS_PER_DOCUMENT

    def text(stage: str, rate: float) -> Line:
        return Line(stage, f"{BYTES / 1e12:.1f} TB", f"{rate} MB/s a core", megabytes / rate / 3600, 0, "measured")

    def gpu(stage: str, amount: str, flops: float, share: float) -> Line:
        hours = flops / (share * PEAK) / 3600
        return Line(stage, amount, f"{flops:.1e} FLOPs at {share:.0%}", 0, hours, "arithmetic")

    exact = pairing.get("exact", SMALL_SEARCH)
    products = 2 * exact["documents"] ** 2 * exact["width"] / exact["cpu_seconds"]

    def search(stage: str, flops: float) -> Line:
        return Line(
            stage,
            "",
            f"{products:.1e} FLOPs/s a core",
            flops / products / 3600,
            0,
            f"measured at {exact['documents']:,}",
        )

    return [
        text("read and clean", debian["read and clean"]),
        text("the same with near-duplicates", debian["read, clean and near-duplicates"]),
        text("tokenise and write", debian["tokenise and write"]),
        gpu("embed (Qwen3-0.6B)", "482B tokens", forward_flops(*EMBEDDER, TOKENS, 2 * mean), READING),
        gpu("neighbours, exact", f"{DOCUMENTS**2:.1e} pairs", 2 * DOCUMENTS**2 * WIDTH, COMPARING),
        gpu("neighbours, IVF", "", _ivf_flops(), COMPARING),
        search("neighbours, exact, on CPUs", 2 * DOCUMENTS**2 * WIDTH),
        search("neighbours, IVF, on CPUs", _ivf_flops()),
        Line(
            "13-gram check of pairs",
            f"{pairs:.1e} pairs",
            f"{check / words:,.0f} pairs/s a core",
            pairs / (check / words) / 3600,
            0,
            "measured, by the word",
        ),
        gpu("tune the synthesizer", "per 1B tokens", 3 * forward_flops(*model, 1e9, 2 * mean), READING),
        gpu("synthesis, reading d1", "75B tokens", read, READING),
        gpu("synthesis, writing d2", "75B tokens", written, WRITING),
        gpu("train 3B", "200B tokens", 3 * forward_flops(*model, TRAINED, 2048), READING),
    ]


def _model(size: str) -> tuple[int, int, int]:
    with torch.device("meta"):
        model = Transformer(model_config(size, VOCABULARY))
    return model.matrix_parameters, model.config.layers, model.attention_width


LISTS, PROBES = 1 << 17, 256


def _ivf_flops() -> float:
    """Every query against the lists' centres and the vectors of the lists it probes, in lists of equal length."""
    return 2 * DOCUMENTS * (LISTS + PROBES * DOCUMENTS / LISTS) * WIDTH


@dataclass(frozen=True)
class Shards:
    """A join of S shards: documents of a shard, tasks, memory of a task (bytes), its FLOPs and seconds on a GPU, bytes
    that all blocks write."""

    documents: float
    tasks: int
    memory: float
    seconds: float
    blocks: float


def join(documents: float) -> Shards:
    """The exact join in shards of that many documents; bfloat16 vectors, blocks of score and place (8 bytes)."""
    shards = math.ceil(DOCUMENTS / documents)
    flops = 2 * documents**2 * WIDTH
    found = documents * NEIGHBOURS * 8
    return Shards(
        documents,
        shards**2,
        2 * documents * WIDTH * 2 + found,
        flops / (COMPARING * PEAK),
        shards * DOCUMENTS * NEIGHBOURS * 8,
    )


def tables() -> list[str]:
    """The tables as lines of Markdown."""
    lines = ["| stage | amount | rate | core-hours | GPU-hours | dollars | rate is |", "|---|---|---|---|---|---|---|"]
    for row in stages():
        core, gpu = (f"{hours:,.0f}" if hours else "–" for hours in (row.core_hours, row.gpu_hours))
        lines.append(f"| {row.stage} | {row.amount} | {row.rate} | {core} | {gpu} | {row.dollars:,.0f} | {row.basis} |")
    lines += ["", "| documents of a shard | shards | tasks | memory of a task | GPU time of a task | written by all |"]
    lines += ["|---|---|---|---|---|---|"]
    for documents in (1e6, 4e6, 10e6):
        plan = join(documents)
        lines.append(
            f"| {documents / 1e6:.0f}M | {math.isqrt(plan.tasks)} | {plan.tasks:,} | {plan.memory / 1e9:.0f} GB | "
            f"{plan.seconds:,.0f} s | {plan.blocks / 1e12:,.0f} TB |"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(tables()))
    plans = [asdict(join(documents)) for documents in (1e6, 4e6, 10e6)]
    write_json(RESULTS / "scaling.json", {"stages": [asdict(row) for row in stages()], "join": plans})
