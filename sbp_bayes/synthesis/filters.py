"""The post-filter: synthetic documents that should not be trained on, each with the reason."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sbp_bayes.synthesis.sampler import Samples

REASONS = ("unfinished", "empty", "too short", "repeats itself", "copies the seed document")


class Filtered(NamedTuple):
    """kept (N,) bool; reasons (N,) strings: "" or one of `REASONS`."""

    kept: np.ndarray
    reasons: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """How many documents were kept, and how many each reason rejected."""
        return {"kept": int(self.kept.sum())} | {reason: int((self.reasons == reason).sum()) for reason in REASONS}


def post_filter(
    samples: Samples,
    seed_documents: Sequence[np.ndarray],
    repeated_shingle: int = 13,
    copied_shingle: int = 13,
    min_tokens: int = 1,
) -> Filtered:
    """Judge each sampled document beside the document d1 it was written from; the first reason that applies counts.

    repeated_shingle: drop documents in which a run of so many tokens occurs twice (the paper: 13); copied_shingle: drop
    documents that share a run of so many tokens with d1. 0 switches a rule off, as it should be where documents are
    hardly longer than the shingle. min_tokens: shortest document kept.
    """
    rules = (repeated_shingle, copied_shingle, min_tokens)
    reasons = [
        _reason(document, bool(finished), seed, *rules)
        for document, finished, seed in zip(samples.tokens, samples.finished, seed_documents, strict=True)
    ]
    array = np.array(reasons, dtype=object)
    return Filtered(array == "", array)


def _reason(document: np.ndarray, finished: bool, seed: np.ndarray, repeated: int, copied: int, min_tokens: int) -> str:
    unfinished, empty, short, repeats, copies = REASONS
    if not finished:
        return unfinished
    if len(document) == 0:
        return empty
    if len(document) < min_tokens:
        return short
    if repeated and len(shingles(document, repeated)) < len(document) - repeated + 1:
        return repeats
    if copied and not shingles(document, copied).isdisjoint(shingles(seed, copied)):
        return copies
    return ""


def shingles(tokens: np.ndarray, size: int) -> set[bytes]:
    """The distinct runs of ``size`` tokens, as bytes."""
    content = np.ascontiguousarray(tokens, dtype=np.int64)
    return {content[i : i + size].tobytes() for i in range(len(content) - size + 1)}
