"""Pairing at scale: ``python benchmarks/pairing.py {exact,index,near-duplicates,join} [--documents N] ...``.

exact            neighbours of all documents among all, by comparing all: time and peak memory
index            the same by the faiss index, with its recall against exact on a sample
near-duplicates  pairs a CPU second: the 13-gram check, and containment and Jaccard of 5-grams
join             shard against shard in worker processes, by an index for each shard: time, memory, recall

Vectors are drawn: unit vectors around 2,000 centres, at a cosine of about 0.4 (exact, index), or evenly on the sphere
(join); --embeddings FOLDER takes those of `sbp pairs` instead. Documents are drawn with Zipf's words, a quarter of them
edited copies. Each command prints what it found and writes it, with the device and the versions, under its own name to
benchmarks/results/pairing.json.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "pairing.json"
CENTRES = 2000
WORDS = 150  # of a drawn document
PARTNERS = 10  # pairs checked for each
K = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(BENCHMARKS))
    parser.add_argument("--documents", type=int, default=0, help="265,000; 50,000 (near-duplicates); 10,000,000 (join)")
    parser.add_argument("--width", type=int, default=0, help="384, or 16 (join)")
    parser.add_argument("--threads", type=int, default=2, help="threads, or worker processes (join)")
    parser.add_argument("--nprobe", type=int, default=0, help="lists looked into: 128, or 32 (join)")
    parser.add_argument("--shards", type=int, default=5, help="join: shards")
    parser.add_argument("--embeddings", type=Path, help="exact, index: OUT/EMBEDDER/embeddings of sbp pairs")
    parser.add_argument("--scratch", type=Path, help="join: folder for the shards and blocks (10 GB at full size)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1" if options.what == "join" else str(options.threads)
    found = BENCHMARKS[options.what](options)
    print("  ".join(f"{name} {value}" for name, value in found.items()), flush=True)
    _store(options.what, found)


def exact(options: argparse.Namespace) -> dict:
    from sbp_bayes.pairing.neighbours import nearest

    vectors = _vectors(options)
    _, spent = _timed(lambda: nearest(vectors, K))
    return {**_size(vectors, options), **spent}


def index(options: argparse.Namespace) -> dict:
    from sbp_bayes.pairing.index_search import factory_for, nearest_by_index, recall

    vectors, nprobe = _vectors(options), options.nprobe or 128
    found, spent = _timed(lambda: nearest_by_index(vectors, K, nprobe=nprobe))
    about = {"index": factory_for(*vectors.shape), "nprobe": nprobe}
    return {**_size(vectors, options), **about, **spent, **recall([vectors], found)}


def near_duplicates(options: argparse.Namespace) -> dict:
    from sbp_bayes.pairing.near_duplicates import containment_and_jaccard, share_a_shingle

    terms, pairs = _documents(options.documents or 50_000)
    shared, any_run = _timed(lambda: share_a_shingle(terms, pairs, 13))
    _, overlap = _timed(lambda: containment_and_jaccard(terms, pairs, 5))
    return {
        "documents": terms.documents,
        "words": WORDS,
        "pairs": len(pairs),
        "near_duplicates": int(shared.sum()),
        "pairs_per_cpu_second_13_gram": round(len(pairs) / any_run["cpu_seconds"]),
        "pairs_per_cpu_second_containment_jaccard": round(len(pairs) / overlap["cpu_seconds"]),
        "peak_rss_gb": overlap["peak_rss_gb"],
    }


def join(options: argparse.Namespace) -> dict:
    from sbp_bayes.engines.options import Engine
    from sbp_bayes.engines.run import run_tasks
    from sbp_bayes.pairing.index_search import recall
    from sbp_bayes.pairing.join import join_tasks, joined

    documents, width = options.documents or 10_000_000, options.width or 16
    k, nprobe = 10, options.nprobe or 32
    engine = Engine(workers=options.threads)
    if options.scratch is not None:
        options.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        shards = _shards(folder, documents, width, options.shards)
        rounds = join_tasks(shards, folder / "join", k, "auto", nprobe)

        def run() -> None:
            for number, tasks in enumerate(rounds):
                run_tasks(tasks, folder / "join", engine, f"round {number + 1}")

        _, spent = _timed(run)
        found = joined(folder / "join", len(shards))
        disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        measured = recall([np.load(file, mmap_mode="r") for (file,) in shards], found)
    about = {"shards": options.shards, "tasks": sum(map(len, rounds)), "workers": options.threads, "nprobe": nprobe}
    return {"documents": documents, "width": width, **about, **spent, "disk_gb": round(disk / 1e9, 2), **measured}


def _timed(work: Callable[[], object]) -> tuple:
    """What ``work`` returned; wall and CPU seconds, this process's and its children's; the largest process so far."""
    start, wall = os.times(), time.monotonic()
    found = work()
    end = os.times()
    used = sum(end[:4]) - sum(start[:4])
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = {"wall_seconds": round(time.monotonic() - wall, 1), "cpu_seconds": round(used, 1)}
    return found, {**seconds, "peak_rss_gb": round(peak * 1024 / 1e9, 2)}


def _vectors(options: argparse.Namespace) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(options.threads)
    if options.embeddings:
        from sbp_bayes.pairing.embeddings import open_embeddings

        return open_embeddings(options.embeddings).vectors()
    n, width = options.documents or 265_000, options.width or 384
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CENTRES, width), dtype=np.float32)
    # Two vectors of one centre have a cosine of 1 / (1 + noise ** 2).
    vectors = np.float32(1.5**0.5) * rng.standard_normal((n, width), dtype=np.float32)
    vectors += centres[rng.integers(0, CENTRES, n)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _size(vectors: np.ndarray, options: argparse.Namespace) -> dict:
    source = "embeddings" if options.embeddings else "drawn"
    return {"vectors": source, "documents": len(vectors), "width": vectors.shape[1], "threads": options.threads, "k": K}


def _documents(n: int) -> tuple:
    """Drawn documents as terms, and pairs of them: each with its original, where it is a copy, and with others."""
    from sbp_bayes.pairing.terms import Terms

    rng = np.random.default_rng(0)
    vocabulary = 30_000
    words = rng.zipf(1.3, (n, WORDS)) % vocabulary
    copied, original = rng.random(n) < 0.24, rng.integers(0, n, n)
    words[copied] = words[original[copied]]
    edited = copied[:, None] & (rng.random((n, WORDS)) < 0.05)
    words = np.where(edited, rng.integers(0, vocabulary, (n, WORDS)), words)
    hashes = rng.integers(0, 2**63, vocabulary).astype(np.uint64)
    pairs = np.stack([np.repeat(np.arange(n), PARTNERS), rng.integers(0, n, n * PARTNERS)], axis=1)
    pairs[::PARTNERS, 1] = original
    return Terms(words.ravel().astype(np.int64), np.arange(n + 1) * WORDS, hashes), pairs


def _shards(folder: Path, documents: int, width: int, count: int) -> list[tuple[Path, ...]]:
    """Shards of unit vectors drawn evenly on the sphere."""
    shards = []
    for i, rows in enumerate(np.diff(np.linspace(0, documents, count + 1).astype(int))):
        vectors = np.random.default_rng(i).standard_normal((rows, width), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        shards.append((folder / f"vectors-{i:05d}.npy",))
        np.save(shards[-1][0], vectors)
    return shards


def _store(what: str, found: dict) -> None:
    import faiss

    from sbp_bayes.files import read_json, write_json

    record = read_json(RESULTS) if RESULTS.exists() else {}
    versions = {"faiss": faiss.__version__, "numpy": np.__version__, "python": platform.python_version()}
    device = {"processor": _processor(), "cores": os.cpu_count(), **versions}
    write_json(RESULTS, {**record, what: {"date": time.strftime("%Y-%m-%d"), "device": device, **found}})


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


BENCHMARKS = {"exact": exact, "index": index, "near-duplicates": near_duplicates, "join": join}

if __name__ == "__main__":
    main()
