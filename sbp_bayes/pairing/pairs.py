"""Pairs (d1, d2) of related documents: candidates by a rule, filters with a reason for each pair, statistics.

The table keeps every candidate, so that a filter can be judged and a threshold redrawn without another search.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sparse

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import atomic_write, read_json, write_json
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.embed import embed_hidden_states, tfidf, whitened
from sbp_bayes.pairing.filters import BELOW_ALPHA, NEAR_DUPLICATE, RARER_CONCEPT, Fates, fates_of
from sbp_bayes.pairing.neighbours import Neighbours
from sbp_bayes.pairing.plant import planted
from sbp_bayes.pairing.rules import Candidates, as_candidates, same_concept, similar, uniform
from sbp_bayes.pairing.statistics import latent_codes, pair_statistics, precision_by_alpha
from sbp_bayes.pairing.terms import document_terms
from sbp_bayes.seeds import numpy_generator

if TYPE_CHECKING:
    import torch

    from sbp_bayes.model.transformer import Transformer


@dataclass(frozen=True)
class Pairs:
    """table: d1, d2 (int64 document indices), d1_id, d2_id (their ids), score (float32, null where the rule has none),
    kept, reason; statistics: see `make_pairs`."""

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
    embedder: dict | None = None,
    found: tuple[Neighbours, dict] | None = None,
    like: Pairs | None = None,
) -> Pairs:
    """Pair the documents of ``corpus`` with one another.

    ``model`` and ``tokenizer`` serve the embedder base-model; ``vectors`` (N, D) are a sentence embedder's or a
    registered one's; ``embedder`` says which it was, for the record; ``found`` are the neighbours and how they were
    searched, where that has been done. ``like`` makes random pairs give each d1 as many partners as it has there;
    without it each d1 gets ``pairs_per_document``. Only the rule truth and ``concept_zipf`` read the latents; every
    rule's statistics report its precision where there are any.
    The statistics are those of `pair_statistics` with the rule, the fingerprints of corpus and tokenizer, the pairs by
    reason, and of the rule similarity the embedder, the search and `precision_by_alpha`.
    UserError: truth without latents, fewer than two documents, no pair left (with the largest similarity seen).
    """
    if len(corpus) < 2:
        raise UserError(f"{corpus.folder}: pairs take at least two documents")
    terms = document_terms(corpus) if config.reads_terms else None
    search = {}
    if config.rule == "similarity":
        if found is not None:
            candidates, how = as_candidates(found[0]), found[1]
        else:
            vectors = _vectors(corpus, config, terms, model, tokenizer, device) if vectors is None else vectors
            if config.whiten and isinstance(vectors, np.ndarray):
                vectors = whitened(vectors)
            candidates, how = similar(vectors, config, device)
        treated = {"layer": config.layer} if config.layer else {}
        treated |= {"whiten": True} if config.whiten else {}
        search = {"embedder": {**(embedder or {"embedder": config.embedder}), **treated}, "search": how}
    else:
        candidates = _candidates(corpus, config, seed, like)
    fates = fates_of(candidates, config, terms, len(corpus))
    if config.concept_zipf:
        fates.drop(fates.kept & _of_rarer_concepts(corpus, candidates.d1, config, seed), RARER_CONCEPT)
    _check_any_left(corpus, config, candidates, fates)
    d2 = planted(candidates.d1, candidates.d2, fates.kept, len(corpus), config, seed)
    ids = corpus.column("doc_id").combine_chunks()
    table = pa.table(
        {
            "d1": candidates.d1,
            "d2": d2,
            "d1_id": pa.DictionaryArray.from_arrays(candidates.d1.astype(np.int32), ids),
            "d2_id": pa.DictionaryArray.from_arrays(d2.astype(np.int32), ids),
            "score": pa.array(candidates.score, mask=np.isnan(candidates.score)),
            "kept": fates.kept,
            "reason": fates.strings(),
        }
    )
    statistics = {
        "rule": config.rule,
        "corpus": corpus.fingerprint,
        "tokenizer": corpus.tokenizer_fingerprint,
        **search,
        **pair_statistics(table, corpus),
        "reasons": fates.counts(),
    }
    if config.rule == "similarity":
        statistics["by_alpha"] = precision_by_alpha(candidates, fates.copies, corpus)
    return Pairs(table, statistics)


def _vectors(corpus, config, terms, model, tokenizer, device) -> np.ndarray | sparse.csr_matrix:
    """The vectors of the two embedders that need nothing but the corpus and a model of ours."""
    if config.embedder == "tfidf":
        return tfidf(terms)
    if config.embedder != "base-model":
        raise UserError(f'pairing.embedder = "{config.embedder}": takes its vectors')
    if model is None or tokenizer is None:
        raise UserError("pairing.embedder = 'base-model' takes a trained base model and its tokenizer")
    return embed_hidden_states(model, corpus, tokenizer, device, layer=config.layer)


def _candidates(corpus: Corpus, config: PairingConfig, seed: int, like: Pairs | None) -> Candidates:
    """The pairs of a rule that needs no vectors."""
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
    n = len(corpus)
    per_document = np.full(n, config.pairs_per_document)
    return uniform(n, per_document if like is None else np.bincount(like.kept[:, 0], minlength=n), rng)


def _of_rarer_concepts(corpus: Corpus, d1: np.ndarray, config: PairingConfig, seed: int) -> np.ndarray:
    """Which pairs (M,) go, so that a pair of concept k is left with probability (k + 1) ** -concept_zipf."""
    concepts = latent_codes(corpus, ["concept"], as_numbered=True)
    if concepts is None:
        raise UserError(f"{corpus.folder}: pairing.concept_zipf needs concepts with numbers, in latents")
    chance = (concepts[d1] + 1.0) ** -config.concept_zipf
    return numpy_generator("pairs", "concept zipf", seed).random(d1.size) >= chance


def _check_any_left(corpus: Corpus, config: PairingConfig, candidates: Candidates, fates: Fates) -> None:
    if fates.kept.any():
        return
    counts = fates.counts()
    if not counts:
        raise UserError(f"{corpus.folder}: no two documents could be paired by the rule {config.rule}")
    if set(counts) == {BELOW_ALPHA}:
        largest = float(candidates.score.max())
        raise UserError(f"pairing.alpha = {config.alpha} leaves no pair: the largest similarity is {largest:.4f}")
    if not set(counts) - {BELOW_ALPHA, NEAR_DUPLICATE}:
        raise UserError(
            f"pairing.shingle = {config.shingle} leaves no pair: all {counts[NEAR_DUPLICATE]} pairs "
            f"above alpha are near-duplicates"
        )
    dropped = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    raise UserError(f"{corpus.folder}: pairing leaves no pair ({dropped})")


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
