"""The post-filter: synthetic documents that should not be trained on, each with the reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

REASONS = ("unfinished", "empty", "too short", "repeats itself", "copies the seed document")


@dataclass(frozen=True)
class FilterConfig:
    """What is dropped.

    min_tokens: shortest document kept; shingle: tokens of a shingle (the paper: 13), 0 switches both shingle rules
    off; copies: drop documents that share a shingle with their seed document (switch it off where documents are hardly
    longer than a shingle).
    """

    min_tokens: int = 1
    shingle: int = 13
    copies: bool = True


@dataclass(frozen=True)
class Filtered:
    """kept (N,) bool; reasons (N,): "" or one of `REASONS`."""

    kept: np.ndarray
    reasons: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """How many documents each reason rejected, and how many were kept."""
        return {"kept": int(self.kept.sum())} | {reason: int((self.reasons == reason).sum()) for reason in REASONS}


def post_filter(
    documents: Sequence[np.ndarray],
    finished: np.ndarray,
    seed_documents: Iterable[np.ndarray],
    config: FilterConfig,
) -> Filtered:
    """Judge documents (token ids without specials), ``finished`` (N,) bool, each against the seed document it was
    written from. The first reason that applies is the one given.
    """
    reasons = np.array(
        [
            _reason(document, bool(ended), seed, config)
            for document, ended, seed in zip(documents, finished, seed_documents, strict=True)
        ],
        dtype=object,
    )
    return Filtered(reasons == "", reasons)


def _reason(document: np.ndarray, finished: bool, seed: np.ndarray, config: FilterConfig) -> str:
    unfinished, empty, short, repeats, copies = REASONS
    if not finished:
        return unfinished
    if len(document) == 0:
        return empty
    if len(document) < config.min_tokens:
        return short
    if config.shingle and len(document) >= config.shingle:
        found = shingles(document, config.shingle)
        if len(found) < len(document) - config.shingle + 1:
            return repeats
        if config.copies and not found.isdisjoint(shingles(seed, config.shingle)):
            return copies
    return ""


def shingles(tokens: np.ndarray, size: int) -> set[bytes]:
    """The distinct runs of ``size`` tokens, as bytes."""
    content = np.ascontiguousarray(tokens, dtype=np.int64)
    return {content[i : i + size].tobytes() for i in range(len(content) - size + 1)}
