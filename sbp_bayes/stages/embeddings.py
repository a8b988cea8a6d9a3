"""The stage that embeds the documents of D by a sentence embedder."""

from pathlib import Path

import numpy as np

from sbp_bayes.graph import Stage
from sbp_bayes.ledger import Entry
from sbp_bayes.pairing.embeddings import SHARD, embed_tasks, encoder, finish_embeddings
from sbp_bayes.progress import Progress
from sbp_bayes.stages.data import SeedData


def build_embeddings(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Unit vectors of D, shard by shard; a shard that is there already is not embedded again."""
    real = SeedData(inputs["corpus"]).real
    embedder, dtype = stage.config["embedder"], stage.config["found"]["dtype"]
    tasks = embed_tasks(real, out, embedder, dtype, device, SHARD)
    waiting = [task for task in tasks if not task.file.exists()]
    done = len(real) - sum(task.documents for task in waiting)
    with Progress(f"{stage.name} ({embedder})", len(real), "documents", done) as progress:
        for task in waiting:
            task()
            progress.advance(task.documents)
    finish_embeddings(out, real, tasks)
    reader = encoder(embedder, dtype, device)
    lengths = np.concatenate([reader.lengths(texts) for texts in real.batches("text")]).astype(np.float64)
    tokens = float(lengths.sum())
    # Each token of such a model attends to the whole of its document.
    return [Entry(stage.name, "embedding", int(tokens), reader.flops(tokens, float((lengths**2).sum()) / tokens))]
