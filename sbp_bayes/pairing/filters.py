"""What becomes of each candidate pair: kept, or dropped for one reason, the first that holds.

Shapes: M candidate pairs.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.near_duplicates import containment_and_jaccard, share_a_shingle
from sbp_bayes.pairing.rules import Candidates
from sbp_bayes.pairing.terms import Terms

KEPT, BELOW_ALPHA, NEAR_DUPLICATE, OVER_CAP = "kept", "below alpha", "near-duplicate", "over the cap"
CONTAINED, ALIKE = "near-duplicate by containment", "near-duplicate by Jaccard"
NOT_MUTUAL, OVER_CAP_AS_D2, RARER_CONCEPT = "not mutual", "over the cap as d2", "concept made rarer"
REASONS = (KEPT, BELOW_ALPHA, NEAR_DUPLICATE, CONTAINED, ALIKE, NOT_MUTUAL, OVER_CAP_AS_D2, OVER_CAP, RARER_CONCEPT)
NEAR_DUPLICATES = (NEAR_DUPLICATE, CONTAINED, ALIKE)


class Fates:
    """The fate of each candidate: codes (M,) uint8, places in `REASONS`.

    copies: (M,) bool, near-duplicates, those below alpha among them.
    """

    def __init__(self, candidates: int):
        self.codes = np.zeros(candidates, dtype=np.uint8)
        self.copies = np.zeros(candidates, dtype=bool)

    def drop(self, which: np.ndarray, reason: str) -> None:
        """Give ``reason`` to the pairs ``which`` ((M,) bool, or places) that are still kept."""
        places = np.flatnonzero(which) if which.dtype == bool else which
        self.codes[places[self.codes[places] == 0]] = REASONS.index(reason)

    @property
    def kept(self) -> np.ndarray:
        """(M,) bool."""
        return self.codes == 0

    def counts(self) -> dict[str, int]:
        """Pairs by reason, those reasons that occur, in the order of `REASONS`."""
        found = np.bincount(self.codes, minlength=len(REASONS))
        return {reason: int(count) for reason, count in zip(REASONS, found, strict=True) if count}

    def strings(self) -> pa.Array:
        """(M,) strings."""
        return pa.DictionaryArray.from_arrays(self.codes, pa.array(REASONS)).cast(pa.string())


def fates_of(candidates: Candidates, config: PairingConfig, terms: Terms | None, documents: int) -> Fates:
    """Alpha, the near-duplicate filters, mutuality, and the caps on d2 and d1, in that order.

    A pair without a score passes the threshold; mutuality and caps are of the rule similarity. ``terms`` are needed by
    the near-duplicate filters (`PairingConfig.reads_terms`).
    """
    fates = Fates(candidates.d1.size)
    fates.drop(candidates.score <= config.alpha, BELOW_ALPHA)
    pairs = np.stack([candidates.d1, candidates.d2], axis=1)
    for reason, which in _near_duplicates(pairs, config, terms):
        fates.copies |= which
        fates.drop(which, reason)
    if config.rule == "similarity":
        if config.mutual:
            forth, back = candidates.d1 * documents + candidates.d2, candidates.d2 * documents + candidates.d1
            fates.drop(~np.isin(back, forth), NOT_MUTUAL)
        if config.cap:
            left = np.flatnonzero(fates.kept)
            best = left[np.lexsort((candidates.d1[left], -candidates.score[left], candidates.d2[left]))]
            fates.drop(best[_rank(candidates.d2[best]) >= config.cap], OVER_CAP_AS_D2)
        left = np.flatnonzero(fates.kept)
        fates.drop(left[_rank(candidates.d1[left]) >= config.pairs_per_document], OVER_CAP)
    return fates


def _near_duplicates(pairs: np.ndarray, config: PairingConfig, terms: Terms | None) -> Iterator[tuple[str, np.ndarray]]:
    """Reasons and which of all candidates (M,) bool they hold for."""
    if config.shingle:
        yield NEAR_DUPLICATE, share_a_shingle(terms, pairs, config.shingle)
    if config.containment or config.jaccard:
        contained, alike = containment_and_jaccard(terms, pairs, config.overlap_shingle)
        if config.containment:
            yield CONTAINED, contained >= config.containment
        if config.jaccard:
            yield ALIKE, alike >= config.jaccard


def _rank(grouped: np.ndarray) -> np.ndarray:
    """The place of each element among its equals; equals stand together, in ascending order of value."""
    return np.arange(grouped.size) - np.searchsorted(grouped, grouped)
