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
    layer: int = key(
        0, "of base-model: the block whose output is read, from 1; 0: the final hidden state", 0, added=True
    )
    whiten: bool = key(
        False, "make all directions of dense vectors equally long first; a base model's need it", added=True
    )
    embedding_dtype: str = key(
        "auto", "of a sentence embedder; auto: bfloat16 where the processor has it", among=DTYPES, added=True
    )
    alpha: float = key(0.3, "cosine that a pair must exceed", -1, 1)
    top_k: int = key(20, "neighbours looked at for each document", 1)
    shingle: int = key(13, "drop pairs that share a run of so many words as near-duplicates; 0: keep them", 0)
    containment: float = key(
        0.0, "drop pairs that share so large a part of the shorter one's runs; 0: off", 0, 1, added=True
    )
    jaccard: float = key(0.0, "drop pairs that share so large a part of all their runs; 0: off", 0, 1, added=True)
    overlap_shingle: int = key(5, "words of a run, of containment and jaccard", 1, added=True)
    mutual: bool = key(False, "of the rule similarity: keep pairs that find each other only", added=True)
    cap: int = key(0, "of the rule similarity: pairs that a document may be d2 of, best first; 0: any", 0, added=True)
    exact_below: int = key(300_000, "documents up to which neighbours are searched exactly on a CPU", 0, added=True)
    index: str = key(
        "auto", "faiss index beyond that, a factory string; auto: IVF{2 sqrt N},PQ{D/2}x4fsr,RFlat", added=True
    )
    nprobe: int = key(128, "lists of the index that are looked into for each document", 1, added=True)
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
    def reads_terms(self) -> bool:
        """Whether words (or tokens) of the documents are needed: by TF-IDF or by a near-duplicate filter."""
        tfidf = self.rule == "similarity" and self.embedder == "tfidf"
        return tfidf or self.shingle > 0 or self.containment > 0 or self.jaccard > 0

    @property
    def plugin_embedder(self) -> str | None:
        """The name of the registered embedder that the rule takes, None where it takes none."""
        own = self.embedder in OWN_EMBEDDERS or is_sentence_model(self.embedder)
        return None if self.rule != "similarity" or own else self.embedder

    @property
    def sentence_embedder(self) -> str | None:
        """The sentence embedder that the rule takes (`sbp_bayes.pairing.sentence_models`), None where it takes none."""
        return self.embedder if self.rule == "similarity" and is_sentence_model(self.embedder) else None
