"""The keys of [corpus.clean]: which documents of files a corpus takes."""

from dataclasses import dataclass

from sbp_bayes.config_key import key

LANGUAGES = ("da", "de", "en", "es", "fr", "it", "nl", "pt", "sv")


@dataclass(frozen=True)
class CleanSettings:
    """Which documents of text files are left out. Each is listed, with the reason, in the corpus stage's
    dropped.parquet; empty documents and exact copies (but for white space) always are.

    Source of the near-duplicate measure: Broder (1997), On the resemblance and containment of documents.
    """

    on_bad: str = key(
        "stop", "what can't be read, or has an id twice: stop, or skip it", among=("stop", "skip"), added=True
    )
    max_characters: int = key(100_000, "of a document; 0: no limit", 0, added=True)
    max_tokens: int = key(0, "of a document; 0: no limit", 0, added=True)
    long_documents: str = key(
        "refuse", "longer ones: stop there, split into parts, or drop", among=("refuse", "split", "drop"), added=True
    )
    min_characters: int = key(0, "drop shorter documents", 0, added=True)
    min_tokens: int = key(0, "drop shorter documents", 0, added=True)
    languages: list[str] = key(
        [], f"keep these only, told by function words: {', '.join(LANGUAGES)}; none given: all", added=True
    )
    near_duplicates: float = key(
        0.0,
        "drop documents whose shingles have this Jaccard similarity, or more, with an earlier one's; 0: off",
        0,
        1,
        added=True,
    )
    shingle: int = key(13, "words of a shingle; 5 also finds copies with many small edits", 1, added=True)
