"""Rates of the corpus stage on one CPU thread: ``python benchmarks/tokenising.py FOLDER [FOLDER ...]``.

Each folder holds documents as `sbp fetch` writes them (NAME.jsonl). Reading, cleaning, near-duplicates, training a BPE
and tokenising are each timed by themselves, in CPU seconds (the median of three, but for the near-duplicates and the
training, which run once). Prints a table and writes it, with the device and the versions, to
benchmarks/results/tokenising.json.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"  # before the tokenizers library starts its threads
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pyarrow as pa
import tokenizers

from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.prepare import prepare
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.text_batches import text_batches
from sbp_bayes.documents.text_source import TextSource
from sbp_bayes.documents.tokenizer import BpeTokenizer, Tokenizer
from sbp_bayes.files import write_json

VOCABULARY = 8192
RESULTS = Path(__file__).parent / "results" / "tokenising.json"


def cpu_seconds(work: Callable[[], object], times: int = 3) -> float:
    """The median CPU time of ``work`` over ``times`` runs."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return float(np.median(spent))


def read(source: TextSource) -> list[str]:
    return [document.text for _, document in source.read()]


def clean(source: TextSource, settings: CleanSettings) -> dict[str, int]:
    """Counts of documents after cleaning."""
    with tempfile.TemporaryDirectory() as name, Dropped(Path(name) / "dropped.parquet") as dropped:
        sizes = SplitSizes(1, 1, 1, 2)
        return prepare(source.read(), "benchmark", settings, False, sizes, 0, dropped, Path(name)).statistics


def tokenise(texts: list[str], tokenizer: Tokenizer) -> int:
    """Tokens of all texts, encoded in the batches that the corpus writer uses."""
    return sum(
        sum(ids.size for ids in tokenizer.encode(batch)) for batch in text_batches(pa.chunked_array([pa.array(texts)]))
    )


def write(texts: list[str], tokenizer: Tokenizer) -> None:
    with tempfile.TemporaryDirectory() as name:
        table = pa.table({"doc_id": [str(i) for i in range(len(texts))], "text": texts})
        write_corpus(Path(name) / "corpus", [table], tokenizer)


def measure(folder: Path) -> dict:
    """Sizes and rates (MB of UTF-8 text a CPU second) of one corpus."""
    source = TextSource.from_options({"path": str(folder), "id_column": "doc_id"}, 0)
    texts = read(source)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    without_limit = CleanSettings(max_characters=0)
    near = CleanSettings(max_characters=0, near_duplicates=0.8)
    tokenizer: list[BpeTokenizer] = []
    counts: list[dict] = []
    seconds = {
        "read": cpu_seconds(lambda: read(source)),
        "read and clean": cpu_seconds(lambda: clean(source, without_limit)),
        "read, clean and near-duplicates": cpu_seconds(lambda: counts.append(clean(source, near)), 1),
        "train BPE": cpu_seconds(lambda: tokenizer.append(BpeTokenizer.train(texts, VOCABULARY)), 1),
        "tokenise": cpu_seconds(lambda: tokenise(texts, tokenizer[0])),
        "tokenise and write": cpu_seconds(lambda: write(texts, tokenizer[0])),
    }
    return {
        "corpus": folder.name,
        "documents": len(texts),
        "megabytes": round(megabytes, 2),
        "tokens": tokenise(texts, tokenizer[0]),
        "near-duplicates": counts[0].get("near-duplicates", 0),
        "exact copies": counts[0].get("exact copies", 0),
        "megabytes_per_cpu_second": {step: round(megabytes / spent, 2) for step, spent in seconds.items()},
        "documents_per_cpu_second": {step: round(len(texts) / spent) for step, spent in seconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    rows = []
    for folder in parser.parse_args().folders:
        rows.append(measure(folder))
        rates = "  ".join(f"{step} {rate:.1f}" for step, rate in rows[-1]["megabytes_per_cpu_second"].items())
        print(f"{folder.name}: {rows[-1]['megabytes']:.1f} MB; MB a CPU second: {rates}", flush=True)
    device = {
        "processor": _processor(),
        "threads": 1,
        "tokenizers": tokenizers.__version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
    }
    record = {"device": device, "date": time.strftime("%Y-%m-%d"), "vocabulary": VOCABULARY, "rows": rows}
    write_json(RESULTS, record)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
