"""Sequences that are longer than the context of training: refused, left out, or cut into parts that fit."""

import numpy as np

from sbp_bayes.documents.packing import Sequences
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash

LONG = ("refuse", "drop", "split")


class Shorter:
    """Those of ``sequences`` that have at most ``context`` targets."""

    def __init__(self, sequences: Sequences, context: int):
        self._sequences = sequences
        self._kept = np.flatnonzero(sequences.lengths <= context)
        self.lengths = sequences.lengths[self._kept]
        self.fingerprint = content_hash(["at most", context, sequences.fingerprint])

    def __len__(self) -> int:
        return self._kept.size

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self._sequences.sequence(int(self._kept[i]))

    def name(self, i: int) -> str:
        return self._sequences.name(int(self._kept[i]))


class Parts:
    """``sequences``, each cut into parts of ``context`` targets and a shorter last one.

    Every target is predicted once, in one part; a later part begins with the last token of the part before, so that
    its first target has that token, and no more, as its context. Only the first part has the bos.
    """

    def __init__(self, sequences: Sequences, context: int):
        self._sequences, self._context = sequences, context
        lengths = np.asarray(sequences.lengths, dtype=np.int64)
        counts = -(-lengths // context)
        self._of = np.repeat(np.arange(lengths.size), counts)
        self._place = np.arange(self._of.size) - np.repeat(np.cumsum(counts) - counts, counts)
        self.lengths = np.minimum(context, lengths[self._of] - self._place * context)
        self.fingerprint = content_hash(["parts", context, sequences.fingerprint])

    def __len__(self) -> int:
        return self._of.size

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        tokens, weights = self._sequences.sequence(int(self._of[i]))
        start = int(self._place[i]) * self._context
        end = start + int(self.lengths[i])
        return tokens[start : end + 1], weights[start:end]

    def name(self, i: int) -> str:
        return f"{self._sequences.name(int(self._of[i]))}, part {self._place[i] + 1}"


def fitted(sequences: Sequences, context: int, long: str) -> tuple[Sequences, str]:
    """``sequences`` made to fit ``context`` targets as ``long`` (one of LONG) says, and a line on what that changed.

    Where all fit they come back as they are, with no line. Raises UserError, with the number and the share of those
    that don't fit, where ``long`` is "refuse" or nothing would be left.
    """
    lengths = np.asarray(sequences.lengths)
    count = int((lengths > context).sum())
    if not count:
        return sequences, ""
    longest = int(lengths.argmax())
    which = f"{count:,} of {len(lengths):,} ({100 * count / len(lengths):.3g} %) are longer than the context"
    if long == "refuse" or (long == "drop" and count == len(lengths)):
        advice = "raise --context, or --long drop or split" if long == "refuse" else "raise --context"
        raise UserError(
            f"{sequences.name(longest)}: {lengths[longest]:,} tokens do not fit the context of {context:,}; "
            f"{which}: {advice}"
        )
    if long == "drop":
        return Shorter(sequences, context), f"{which} of {context:,} tokens and are left out"
    parts = Parts(sequences, context)
    pieces = len(parts) - (len(lengths) - count)
    return parts, f"{which} of {context:,} tokens and are cut into {pieces:,} parts"
