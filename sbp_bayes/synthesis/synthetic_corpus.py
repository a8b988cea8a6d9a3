"""Synthetic documents on disk: what the post-filter keeps as a corpus, the rest beside it with its reasons."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError

CORPUS, REJECTED = "corpus", "rejected.parquet"


def write_synthetic(
    out: Path,
    tokenizer: Tokenizer,
    documents: Sequence[np.ndarray],
    seed_documents: np.ndarray,
    kept: np.ndarray,
    reasons: Sequence[str],
) -> None:
    """Write N documents into ``out``: the corpus `CORPUS`, and `REJECTED` with a column ``reason``.

    documents: token ids; seed_documents (N,): which document of D each was written from; kept (N,) bool. Raises
    UserError where nothing is kept.
    """
    if not kept.any():
        raise UserError(f"synthesis: the post-filter rejected all {len(kept)} documents (first reason: {reasons[0]})")

    def table(rows: np.ndarray) -> pa.Table:
        columns = {
            "doc_id": pa.array([f"synthetic-{i}" for i in rows]),
            "tokens": pa.array([np.asarray(documents[i], np.int32) for i in rows], pa.list_(pa.int32())),
            "seed_doc": pa.array(seed_documents[rows], pa.int64()),
        }
        if tokenizer.kind != "symbols":
            columns["text"] = pa.array([tokenizer.decode(documents[i]) for i in rows])
        return pa.table(columns)

    rejected = np.flatnonzero(~kept)
    write_corpus(out / CORPUS, [table(np.flatnonzero(kept))], tokenizer, None)
    reasons_column = pa.array([reasons[i] for i in rejected], pa.string())
    pq.write_table(table(rejected).append_column("reason", reasons_column), out / REJECTED)
