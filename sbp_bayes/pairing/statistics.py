"""What a pair table is like: counts, coverage, and precision where the concepts are known."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.pairing.filters import BELOW_ALPHA, NEAR_DUPLICATES, OVER_CAP, OVER_CAP_AS_D2
from sbp_bayes.pairing.rules import Candidates


def concept_codes(corpus: Corpus) -> np.ndarray | None:
    """The concept of each document as a number, (N,) int64, -1 where it has none; None where none is known: neither a
    latent nor a column of text says it."""
    codes = latent_codes(corpus, ["concept"])
    if codes is None and "concept" in corpus.columns:
        codes = pc.fill_null(corpus.column("concept").combine_chunks().dictionary_encode().indices, -1).to_numpy()
    return None if codes is None or (codes < 0).all() else codes.astype(np.int64)


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
    most_as_d2 (pairs that one document is d2 of, at most), share_without_partner (of documents), near_duplicates,
    below_alpha, over_cap (pairs), and where concepts are known precision (share of kept pairs of one concept),
    chance_precision (the same for two random documents) and share_related (of documents: another has its concept),
    else None.
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
        "most_as_d2": int(np.bincount(d2, minlength=1).max()),
        "share_without_partner": 1 - np.unique(d1).size / n,
        "near_duplicates": sum(reasons.get(reason, 0) for reason in NEAR_DUPLICATES),
        "below_alpha": reasons.get(BELOW_ALPHA, 0),
        "over_cap": reasons.get(OVER_CAP, 0) + reasons.get(OVER_CAP_AS_D2, 0),
        "precision": None if concepts is None else _agreement(concepts[d1], concepts[d2]),
        "chance_precision": None if concepts is None else chance_precision(concepts),
        "share_related": None if concepts is None else _share_related(concepts),
    }


def precision_by_alpha(candidates: Candidates, copies: np.ndarray, corpus: Corpus, step: float = 0.05) -> list[dict]:
    """What each threshold from -1 to 1 would leave of the candidates, before mutuality and caps; rows of plain JSON.

    copies: (M,) bool, the near-duplicates. alpha; pairs above it that are no near-duplicates; near_duplicates above it;
    share_with_partner (of documents) among those pairs; precision (share of pairs of one concept) and top1_precision
    (the same of each document's most similar partner), None without concepts or pairs. Thresholds below the score of a
    document's last candidate say what the search found, not what there is.
    """
    concepts = concept_codes(corpus)
    order = np.argsort(-candidates.score, kind="stable")
    d1, copied, score = candidates.d1[order], copies[order], candidates.score[order]
    fine = ~copied
    first = np.zeros(d1.size, dtype=bool)  # the best pair of its d1 that is no near-duplicate
    places = np.flatnonzero(fine)
    first[places[np.unique(d1[places], return_index=True)[1]]] = True
    related = np.zeros(d1.size, dtype=bool)
    if concepts is not None:
        related = (concepts[d1] == concepts[candidates.d2[order]]) & (concepts[d1] >= 0)
    counted = {name: np.cumsum(which) for name, which in _curves(fine, copied, first, related).items()}
    rows = []
    for alpha in np.round(np.arange(-1, 1 + step / 2, step), 6) + 0.0:  # no negative zero
        # Scores fall, so that those above alpha come first.
        above = int(np.searchsorted(-score, -alpha, side="left"))
        at = {name: int(counts[above - 1]) if above else 0 for name, counts in counted.items()}
        rows.append(
            {
                "alpha": float(alpha),
                "pairs": at["pairs"],
                "near_duplicates": at["near_duplicates"],
                "share_with_partner": at["first"] / len(corpus),
                "precision": None if concepts is None else _ratio(at["related"], at["pairs"]),
                "top1_precision": None if concepts is None else _ratio(at["first_related"], at["first"]),
            }
        )
    return rows


def _curves(fine: np.ndarray, copied: np.ndarray, first: np.ndarray, related: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "pairs": fine,
        "near_duplicates": copied,
        "first": first,
        "related": related & fine,
        "first_related": related & first,
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _share_related(concepts: np.ndarray) -> float:
    """The share of documents whose concept another document has."""
    counts = np.bincount(concepts[concepts >= 0], minlength=1)
    return float(counts[counts > 1].sum() / concepts.size)


def _agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    return float(((first == second) & (first >= 0)).mean()) if first.size else None


def chance_precision(concepts: np.ndarray) -> float:
    """The probability that two different documents, drawn at random, have the same concept; concepts: (N,) int64."""
    counts = np.bincount(concepts[concepts >= 0]).astype(np.float64)
    return float((counts * (counts - 1)).sum() / (concepts.size * (concepts.size - 1)))
