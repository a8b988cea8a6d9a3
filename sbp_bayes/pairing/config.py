"""How documents are paired, as an experiment file says it."""

from dataclasses import dataclass

from sbp_bayes.config_key import key
from sbp_bayes.pairing.sentence_models import DTYPES, is_sentence_model

RULES = ("auto", "truth", "similarity", "random")
OWN_EMBEDDERS = ("tfidf", "base-model")
EMBEDDERS = "sbp_bayes.embedders"  # entry points: (source description, corpus of N documents) -> (N, D) vectors


@dataclass(frozen=True)
class PairingConfig:
    """Which pairs (d1, d2) the synthesizer learns from (arXiv 2509.15248, nearest-neighbour pairing)."""

    rule: str = key("auto", "truth (same latents), similarity, random; auto: the source's own", among=RULES)
    latents: list[str] = key(
        ["concept"], "of the rule truth: latents that both documents of a pair have in common", added=True
    )
    embedder: str = key(
        "tfidf",
        "of the rule similarity: tfidf, base-model (mean final hidden state), minilm, "
        "sentence-transformers:NAME (hub name or folder), or a registered one",
    )
    embedding_dtype: str = key(
        "auto", "of a sentence embedder; auto: bfloat16 where the processor has it", among=DTYPES, added=True
    )
    alpha: float = key(0.3, "cosine that a pair must exceed", -1, 1)
    top_k: int = key(20, "neighbours looked at for each document", 1)
    shingle: int = key(13, "drop pairs that share a run of so many words as near-duplicates; 0: keep them", 0)
    pairs_per_document: int = key(8, "partners kept for each d1, the most similar first", 1)
    concept_zipf: float = key(
        0.0, "keep pairs of the k-th concept with probability k ** -zipf; 0: all", 0, 10, added=True
    )
    wrong: float = key(0.0, "share of the kept pairs whose d2 becomes a random document", 0, 1, added=True)
    near_duplicate: float = key(0.0, "share of the kept pairs whose d2 becomes a copy of d1", 0, 1, added=True)

    @property
    def uses_base_model(self) -> bool:
        return self.rule == "similarity" and self.embedder == "base-model"

    @property
    def plugin_embedder(self) -> str | None:
        """The name of the registered embedder that the rule takes, None where it takes none."""
        own = self.embedder in OWN_EMBEDDERS or is_sentence_model(self.embedder)
        return None if self.rule != "similarity" or own else self.embedder

    @property
    def sentence_embedder(self) -> str | None:
        """The sentence embedder that the rule takes (`sbp_bayes.pairing.sentence_models`), None where it takes none."""
        return self.embedder if self.rule == "similarity" and is_sentence_model(self.embedder) else None
