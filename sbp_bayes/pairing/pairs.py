"""Pairs (d1, d2) of related documents: candidates by a rule, filters with a reason for each pair, statistics.

The table keeps every candidate, so that a filter can be judged and a threshold redrawn without another search.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write, read_json, write_json
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.embed import embed_hidden_states, tfidf
from sbp_bayes.pairing.near_duplicates import share_a_shingle
from sbp_bayes.pairing.plant import planted
from sbp_bayes.pairing.rules import Candidates, same_concept, similar, uniform
from sbp_bayes.pairing.statistics import latent_codes, pair_statistics
from sbp_bayes.pairing.terms import Terms, document_terms
from sbp_bayes.seeds import numpy_generator

if TYPE_CHECKING:
    import torch

    from sbp_bayes.model.transformer import Transformer

KEPT, BELOW_ALPHA, NEAR_DUPLICATE, OVER_CAP = "kept", "below alpha", "near-duplicate", "over the cap"
RARER_CONCEPT = "concept made rarer"


@dataclass(frozen=True)
class Pairs:
    """table: d1, d2 (int64 document indices), score (float32, null where the rule has none), kept, reason;
    statistics: see `sbp_bayes.pairing.statistics.pair_statistics`."""

    table: pa.Table
    statistics: dict

    @property
    def kept(self) -> np.ndarray:
        """The kept pairs: (M, 2) int64."""
        kept = self.table.filter(self.table["kept"])
        return np.stack([kept["d1"].to_numpy(), kept["d2"].to_numpy()], axis=1)


def make_pairs(
    corpus: Corpus,
    config: PairingConfig,
    seed: int,
    *,
    model: "Transformer | None" = None,
    tokenizer: Tokenizer | None = None,
    device: "torch.device | str" = "cpu",
    vectors: np.ndarray | None = None,
    like: Pairs | None = None,
) -> Pairs:
    """Pair the documents of ``corpus`` with one another.

    ``model`` and ``tokenizer`` serve the embedder base-model; ``vectors`` (N, D) are a registered embedder's.
    ``like`` makes random pairs give each d1 as many partners as it has there; without it each d1 gets
    ``pairs_per_document``. Only the rule truth and ``concept_zipf`` read the latents; every rule's statistics report
    its precision where there are any.
    UserError: truth without latents, fewer than two documents, no pair left (with the largest similarity seen).
    """
    if len(corpus) < 2:
        raise UserError(f"{corpus.folder}: pairs take at least two documents")
    terms = document_terms(corpus) if config.shingle or _by_words(config) else None
    if vectors is not None:
        candidates = similar(np.ascontiguousarray(vectors, dtype=np.float32), config.top_k, device)
    else:
        candidates = _candidates(corpus, config, seed, terms, model, tokenizer, device, like)
    reasons = _filter(candidates, config, terms)
    if config.concept_zipf:
        reasons[(reasons == KEPT) & _of_rarer_concepts(corpus, candidates.d1, config, seed)] = RARER_CONCEPT
    _check_any_left(corpus, config, candidates, reasons)
    table = pa.table(
        {
            "d1": candidates.d1,
            "d2": planted(candidates.d1, candidates.d2, reasons == KEPT, len(corpus), config, seed),
            "score": pa.array(candidates.score, mask=np.isnan(candidates.score)),
            "kept": reasons == KEPT,
            "reason": pa.array(reasons.tolist(), pa.string()),
        }
    )
    return Pairs(table, {"rule": config.rule, **pair_statistics(table, corpus)})


def _by_words(config: PairingConfig) -> bool:
    return config.rule == "similarity" and config.embedder == "tfidf"


def _candidates(corpus, config, seed, terms, model, tokenizer, device, like) -> Candidates:
    rng = numpy_generator("pairs", config.rule, seed)
    if config.rule == "truth":
        codes = latent_codes(corpus, config.latents)
        if codes is None:
            raise UserError(
                f"{corpus.folder}: pairing.rule = 'truth' needs latents with the columns {', '.join(config.latents)}"
            )
        return same_concept(codes, config.pairs_per_document, rng)
    if config.rule == "auto":
        raise UserError("pairing.rule = 'auto': a source settles it; expected truth, similarity or random")
    if config.rule == "random":
        n = len(corpus)
        per_document = np.full(n, config.pairs_per_document)
        return uniform(n, per_document if like is None else np.bincount(like.kept[:, 0], minlength=n), rng)
    if _by_words(config):
        return similar(tfidf(terms), config.top_k)
    if model is None or tokenizer is None:
        raise UserError("pairing.embedder = 'base-model' takes a trained base model and its tokenizer")
    return similar(embed_hidden_states(model, corpus, tokenizer, device), config.top_k, device)


def _filter(candidates: Candidates, config: PairingConfig, terms: Terms | None) -> np.ndarray:
    """The fate of each candidate, (M,) str. A pair without a score passes the threshold."""
    reasons = np.full(candidates.d1.size, KEPT, dtype=object)
    if config.shingle:
        near = share_a_shingle(terms, np.stack([candidates.d1, candidates.d2], axis=1), config.shingle)
        reasons[near] = NEAR_DUPLICATE
    reasons[candidates.score <= config.alpha] = BELOW_ALPHA
    left = np.flatnonzero(reasons == KEPT)
    d1 = candidates.d1[left]
    rank = np.arange(left.size) - np.searchsorted(d1, d1)  # place among the pairs of the same d1 that are left
    if config.rule == "similarity":
        reasons[left[rank >= config.pairs_per_document]] = OVER_CAP
    return reasons


def _of_rarer_concepts(corpus: Corpus, d1: np.ndarray, config: PairingConfig, seed: int) -> np.ndarray:
    """Which pairs (M,) go, so that a pair of concept k is left with probability (k + 1) ** -concept_zipf."""
    concepts = latent_codes(corpus, ["concept"], as_numbered=True)
    if concepts is None:
        raise UserError(f"{corpus.folder}: pairing.concept_zipf needs concepts with numbers, in latents")
    chance = (concepts[d1] + 1.0) ** -config.concept_zipf
    return numpy_generator("pairs", "concept zipf", seed).random(d1.size) >= chance


def _check_any_left(corpus: Corpus, config: PairingConfig, candidates: Candidates, reasons: np.ndarray) -> None:
    if (reasons == KEPT).any():
        return
    if not candidates.d1.size:
        raise UserError(f"{corpus.folder}: no two documents could be paired by the rule {config.rule}")
    if (reasons == BELOW_ALPHA).all():
        largest = float(candidates.score.max())
        raise UserError(f"pairing.alpha = {config.alpha} leaves no pair: the largest similarity is {largest:.4f}")
    raise UserError(
        f"pairing.shingle = {config.shingle} leaves no pair: all {int((reasons == NEAR_DUPLICATE).sum())} pairs "
        f"above alpha are near-duplicates"
    )


def save_pairs(folder: Path, pairs: Pairs) -> None:
    """Write pairs.parquet and, last, pairs.json (the statistics)."""
    atomic_write(folder / "pairs.parquet", lambda path: pq.write_table(pairs.table, path, compression="zstd"))
    write_json(folder / "pairs.json", pairs.statistics)


def load_pairs(folder: Path) -> Pairs:
    """Read pairs back; UserError when they are missing or corrupt."""
    statistics = read_json(folder / "pairs.json")
    try:
        return Pairs(pq.read_table(folder / "pairs.parquet"), statistics)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{folder / 'pairs.parquet'}: corrupt ({str(error).splitlines()[0]})") from error
