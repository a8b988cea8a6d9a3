"""A corpus larger than the memory a process may have is read, cleaned, divided, tokenised and written."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

ALLOWED = 44
"""Megabytes beyond what the imports take: less than the 50 MB of text."""

PROGRAM = """
import json, resource, sys
from pathlib import Path

from sbp_bayes.documents import prepare as preparing, spill
from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.text_source import TextSource
from sbp_bayes.documents.tokenizer import BpeTokenizer
import scipy.sparse, tokenizers

def write(folder, scratch, allowed):
    source = TextSource.from_options({"path": str(folder)}, 0)
    if allowed:
        data = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (data + allowed,) * 2)
    scratch.mkdir()
    with Dropped(scratch / "dropped.parquet") as dropped:
        clean = CleanSettings(near_duplicates=0.8)
        sizes = SplitSizes(100, 20, 20, 500)
        prepared = preparing.prepare(source.read(), "texts", clean, False, sizes, 0, dropped, scratch)
        texts = (text for table in prepared.shards("real") for text in table["text"].to_pylist())
        tokenizer = BpeTokenizer.train(texts, 300)
        corpus = write_corpus(scratch / "oracle", prepared.shards("oracle"), tokenizer)
        dropped_documents = sum(dropped.counts.values())
    return len(corpus), len(corpus.description["shards"]), dropped_documents

spill.SHARD_CHARACTERS = 2_000_000
print(json.dumps(write(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
"""

HOLDS = """
import resource, sys
from pathlib import Path
from sbp_bayes.documents.text_source import TextSource

source = TextSource.from_options({"path": sys.argv[1]}, 0)
data = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (data + int(sys.argv[3]),) * 2)
documents = list(source.read())
"""


def run(program, *arguments):
    # One thread and the system's allocator: pools of memory set aside for speed would count as used.
    pools = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "RAYON_NUM_THREADS": "1"}
    environment = os.environ | pools | {"OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """3,200 documents of 16,000 characters in compressed shards; every tenth one nearly repeats the one before."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    words = np.array([f"word{i:04d}" for i in range(5000)])
    for shard in range(8):
        lines = []
        for number in range(400 * shard, 400 * (shard + 1)):
            if number % 10 != 9:
                body = " ".join(words[rng.integers(0, 5000, 1780)])
            lines.append(json.dumps({"text": f"{body} {number}"}))
        content = pa.Codec("zstd").compress("\n".join(lines).encode(), asbytes=True)
        (folder / f"{shard}.jsonl.zst").write_bytes(content)
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts what a process allocates on Linux")
def test_a_corpus_larger_than_memory_is_written(texts, tmp_path):
    done = run(PROGRAM, texts, tmp_path / "scratch", ALLOWED << 20)
    assert done.returncode == 0, done.stderr[-2000:]
    documents, shards, dropped = json.loads(done.stdout)
    assert (documents, dropped) == (500, 320)
    assert shards > 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts what a process allocates on Linux")
def test_holding_it_in_memory_would_fail(texts, tmp_path):
    done = run(HOLDS, texts, tmp_path, ALLOWED << 20)
    assert done.returncode != 0 and "MemoryError" in done.stderr
