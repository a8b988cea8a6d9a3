"""What a pair table is like: counts, coverage, and precision where the concepts are known."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sbp_bayes.documents.corpus import Corpus


def concept_codes(corpus: Corpus) -> np.ndarray | None:
    """The concept of each document as a number, (N,) int64, -1 where it has none; None without such a latent."""
    return latent_codes(corpus, ["concept"])


def latent_codes(corpus: Corpus, columns: list[str], as_numbered: bool = False) -> np.ndarray | None:
    """One number (N,) int64 for each combination of the latents ``columns``, -1 where one is missing.

    None where the corpus lacks a column. as_numbered: the numbers that the one column itself holds (None where it holds
    no numbers), instead of codes in order of appearance.
    """
    latents = corpus.latents()
    if latents is None or not set(columns) <= set(latents.column_names):
        return None
    if as_numbered:
        (column,) = (latents[name] for name in columns)
        return column.to_numpy().astype(np.int64) if pa.types.is_integer(column.type) else None
    codes = np.zeros(len(corpus), dtype=np.int64)
    missing = np.zeros(len(corpus), dtype=bool)
    for name in columns:
        encoded = pc.dictionary_encode(latents[name].combine_chunks())
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        values = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        missing |= values < 0
        codes = codes * (values.max(initial=0) + 1) + values
    return np.where(missing, -1, codes)


def pair_statistics(table: pa.Table, corpus: Corpus) -> dict:
    """Plain JSON: documents, candidate_pairs, kept_pairs, pairs_per_document (mean over d1 = all documents),
    share_without_partner (of documents), near_duplicates, below_alpha, over_cap (pairs), and where concepts are known
    precision (share of kept pairs of one concept) and chance_precision (the same for two random documents), else None.
    """
    kept = table.filter(table["kept"])
    d1, d2 = kept["d1"].to_numpy(), kept["d2"].to_numpy()
    n = len(corpus)
    reasons = {row["values"]: row["counts"] for row in pc.value_counts(table["reason"]).to_pylist()}
    concepts = concept_codes(corpus)
    return {
        "documents": n,
        "candidate_pairs": table.num_rows,
        "kept_pairs": kept.num_rows,
        "pairs_per_document": kept.num_rows / n,
        "share_without_partner": 1 - np.unique(d1).size / n,
        "near_duplicates": reasons.get("near-duplicate", 0),
        "below_alpha": reasons.get("below alpha", 0),
        "over_cap": reasons.get("over the cap", 0),
        "precision": None if concepts is None else _agreement(concepts[d1], concepts[d2]),
        "chance_precision": None if concepts is None else chance_precision(concepts),
    }


def _agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    return float(((first == second) & (first >= 0)).mean()) if first.size else None


def chance_precision(concepts: np.ndarray) -> float:
    """The probability that two different documents, drawn at random, have the same concept; concepts: (N,) int64."""
    counts = np.bincount(concepts[concepts >= 0]).astype(np.float64)
    return float((counts * (counts - 1)).sum() / (concepts.size * (concepts.size - 1)))
