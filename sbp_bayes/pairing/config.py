"""How documents are paired, as an experiment file says it."""

from dataclasses import dataclass

from sbp_bayes.config_key import key

RULES = ("auto", "truth", "similarity", "random")
EMBEDDERS = ("tfidf", "base-model")


@dataclass(frozen=True)
class PairingConfig:
    """Which pairs (d1, d2) the synthesizer learns from (arXiv 2509.15248, nearest-neighbour pairing)."""

    rule: str = key(
        "auto", "truth (same concept, from latents), similarity, random; auto: the source's own", among=RULES
    )
    embedder: str = key(
        "tfidf", "of the rule similarity: tfidf, or base-model (mean final hidden state)", among=EMBEDDERS
    )
    alpha: float = key(0.3, "cosine that a pair must exceed", -1, 1)
    top_k: int = key(20, "neighbours looked at for each document", 1)
    shingle: int = key(13, "drop pairs that share a run of so many words as near-duplicates; 0: keep them", 0)
    pairs_per_document: int = key(8, "partners kept for each d1, the most similar first", 1)

    @property
    def uses_base_model(self) -> bool:
        return self.rule == "similarity" and self.embedder == "base-model"
