"""Documents and pairs as training sequences, packed into rows of one length, in an order that a seed fixes.

Which rows make up the batch of a step is a pure function of (seed, step): nothing has to be remembered to resume.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash
from sbp_bayes.seeds import numpy_generator

if TYPE_CHECKING:
    from sbp_bayes.documents.corpus import Corpus
    from sbp_bayes.documents.tokenizer import Tokenizer

WINDOW = 4096  # sequences packed together: enough to fill rows well, few enough to keep the seeded order's randomness
CACHED_SLOTS = 2**23  # packed rows are kept in memory up to this many slots (170 MB), and rebuilt on demand beyond


class Sequences(Protocol):
    """What is trained on: token sequences with a weight for each predicted token.

    lengths (N,) int64: targets of each sequence, one less than its tokens; fingerprint: names their content.
    """

    lengths: np.ndarray
    fingerprint: str

    def __len__(self) -> int: ...

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """tokens (n + 1,) int64 and weights (n,) float32 of the n targets."""
        ...

    def name(self, i: int) -> str:
        """How a message calls the sequence."""
        ...


class DocumentSequences:
    """``[bos] d [eos]`` for each document of a corpus; every target counts."""

    def __init__(self, corpus: "Corpus", tokenizer: "Tokenizer"):
        self.corpus, self.tokenizer = corpus, tokenizer
        self.lengths = np.asarray(corpus.lengths, dtype=np.int64) + 1
        self.fingerprint = corpus.fingerprint

    def __len__(self) -> int:
        return len(self.lengths)

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.empty(self.lengths[i] + 1, dtype=np.int64)
        tokens[0], tokens[1:-1], tokens[-1] = self.tokenizer.bos, self.corpus.document(i), self.tokenizer.eos
        return tokens, np.ones(len(tokens) - 1, dtype=np.float32)

    def name(self, i: int) -> str:
        return f"document {self.corpus.doc_ids[i]}"


class PairSequences:
    """``[bos] d1 [sep] d2 [eos]`` for each pair (M, 2) of document numbers; only d2 and its eos count.

    Groups (M, G) go on with ``[sep] d3`` and so on before the eos: each document is written given all before it.
    """

    def __init__(self, corpus: "Corpus", pairs: np.ndarray, tokenizer: "Tokenizer"):
        self.corpus, self.tokenizer = corpus, tokenizer
        self.pairs = np.asarray(pairs, dtype=np.int64)
        documents = np.asarray(corpus.lengths, dtype=np.int64)
        self.lengths = documents[self.pairs].sum(axis=1) + self.pairs.shape[1]
        content = hashlib.sha256(np.ascontiguousarray(self.pairs)).hexdigest()
        self.fingerprint = content_hash([corpus.fingerprint, self.pairs.shape, content])

    def __len__(self) -> int:
        return len(self.lengths)

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        special = self.tokenizer
        tokens = np.full(self.lengths[i] + 1, special.sep, dtype=np.int64)
        tokens[0], tokens[-1] = special.bos, special.eos
        start, seam = 1, 0
        for d in self.pairs[i]:
            document = self.corpus.document(int(d))
            tokens[start : start + len(document)] = document
            start += len(document) + 1
            seam = seam or start - 1
        weights = np.zeros(len(tokens) - 1, dtype=np.float32)
        weights[seam:] = 1.0
        return tokens, weights

    def name(self, i: int) -> str:
        *given, last = (self.corpus.doc_ids[int(d)] for d in self.pairs[i])
        return f"pair {i} (documents {', '.join(given)} and {last})"


@dataclass(frozen=True)
class Batch:
    """Rows of one length, as torch tensors (R, T).

    inputs, targets: token ids int64; weights float32: 0 where a target does not count, and on padding;
    document_ids int64: 1, 2, ... within a row, 0 on padding; positions int64: place within the document;
    alone: each row holds one document from its start, so plain causal attention is enough;
    tokens: targets that are not padding; weight: sum of the weights.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    document_ids: Tensor
    positions: Tensor
    alone: bool
    tokens: int
    weight: float

    @property
    def attention(self) -> dict[str, Tensor]:
        """Keyword arguments for the model: nothing where plain causal attention is enough."""
        return {} if self.alone else {"positions": self.positions, "document_ids": self.document_ids}

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on ``device``."""
        tensors = (self.inputs, self.targets, self.weights, self.document_ids, self.positions)
        return Batch(*(t.to(device, non_blocking=True) for t in tensors), self.alone, self.tokens, self.weight)

    def split(self, parts: int) -> list["Batch"]:
        """The rows in ``parts`` equal groups, for gradient accumulation."""
        assert len(self.inputs) % parts == 0
        columns = (self.inputs, self.targets, self.weights, self.document_ids, self.positions)
        return [
            Batch(*tensors, self.alone, int((tensors[3] > 0).sum()), float(tensors[2].sum(dtype=torch.float64)))
            for tensors in zip(*(column.chunk(parts) for column in columns), strict=True)
        ]


class Packed:
    """Every sequence once, in rows of ``context`` targets.

    Sequences are shuffled by ``seed`` and cut into windows; each window is packed longest first, each sequence into
    the fullest row that has room. Nothing is cut or dropped. Raises UserError for no sequences, for one that is longer
    than the context, and, here or when its row is read, for one with a negative weight.
    """

    def __init__(self, sequences: Sequences, context: int, seed: int):
        if len(sequences) == 0:
            raise UserError("nothing to pack: there are no documents")
        self.sequences, self.context, self.seed = sequences, context, seed
        self.lengths = np.asarray(sequences.lengths, dtype=np.int64)
        longest = int(self.lengths.argmax())
        if self.lengths[longest] > context:
            raise UserError(
                f"{sequences.name(longest)}: {self.lengths[longest]} tokens do not fit the context of {context}; "
                "raise the context or shorten the document"
            )
        rows = _pack(self.lengths, context, seed)
        self._members = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
        self._starts = np.cumsum([0] + [len(row) for row in rows])
        self.tokens = int(self.lengths.sum())
        self.alone = len(rows) == len(sequences)
        self._table = self._build(np.arange(len(rows))) if len(rows) * context <= CACHED_SLOTS else None

    def __len__(self) -> int:
        """Rows."""
        return len(self._starts) - 1

    def describe(self) -> dict:
        """What the rows depend on, as JSON."""
        return {"seed": self.seed, "context": self.context, "content": self.sequences.fingerprint}

    @property
    def density(self) -> float:
        """Share of the slots that hold a target."""
        return self.tokens / (len(self) * self.context)

    @property
    def mean_context(self) -> float:
        """Positions a token attends to on average (`sbp_bayes.ledger`)."""
        n = self.lengths.astype(np.float64)
        return float((n * (n + 1) / 2).sum() / n.sum())

    def members(self, row: int) -> np.ndarray:
        """The sequences in a row, in the order of its document ids 1, 2, ..."""
        return self._members[self._starts[row] : self._starts[row + 1]]

    def arrays(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs, targets, document ids and positions (4, R, T) int64, and weights (R, T) float32, of ``rows``."""
        numbers, weights = self._build(rows) if self._table is None else (t[..., rows, :] for t in self._table)
        return numbers.astype(np.int64), weights

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of ``rows`` (R,)."""
        return _batch(*self.arrays(np.asarray(rows)), self.alone)

    def _build(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Padding repeats the row's last target (an eos), so that every id is one the model knows.
        numbers = np.zeros((4, len(rows), self.context), dtype=np.int32)
        weights = np.zeros((len(rows), self.context), dtype=np.float32)
        for r, row in enumerate(rows):
            at = 0
            for number, i in enumerate(self.members(row), start=1):
                tokens, loss_weights = self.sequences.sequence(int(i))
                end = at + len(loss_weights)
                numbers[0, r, at:end], numbers[1, r, at:end] = tokens[:-1], tokens[1:]
                numbers[2, r, at:end], numbers[3, r, at:end] = number, np.arange(end - at)
                weights[r, at:end] = loss_weights
                at = end
            numbers[:2, r, at:] = numbers[1, r, at - 1]
        for r, at in np.argwhere(weights < 0)[:1]:
            broken = self.sequences.name(int(self.members(rows[r])[numbers[2, r, at] - 1]))
            raise UserError(f"{broken}: a target has the weight {weights[r, at]:g}, expected zero or more")
        return numbers, weights


class Mixture:
    """Packed sources in fixed shares of the rows: ``[(packed, share), ...]``; shares are relative.

    Slot g of the run (row g mod batch of step g // batch) belongs to a source by Bresenham's rule on the shares, so any
    stretch of the run holds the shares as exactly as whole rows allow. Within a source rows come in epochs, each a
    fresh seeded permutation.
    """

    def __init__(self, sources: Sequence[tuple[Packed, float]], seed: int):
        if not sources or any(share <= 0 for _, share in sources):
            raise UserError("mixture: expected at least one source, each with a positive share")
        self.sources = [packed for packed, _ in sources]
        self.shares = [share / sum(s for _, s in sources) for _, share in sources]
        self.seed = seed
        self.context = self.sources[0].context
        if any(packed.context != self.context for packed in self.sources):
            raise UserError("mixture: the sources are packed for different contexts")
        self.alone = all(packed.alone for packed in self.sources)
        # Of the slots left to sources 0..k, this share goes to source k; a small fraction keeps int64 products exact.
        totals = np.cumsum(self.shares)
        self._last = [
            Fraction(share / total).limit_denominator(10**6) for share, total in zip(self.shares, totals, strict=True)
        ]
        self._permutation = lru_cache(maxsize=2 * len(sources))(self._permutation_of)

    @property
    def mean_context(self) -> float:
        """Positions a token attends to on average (`sbp_bayes.ledger`)."""
        weights = [s * p.density for p, s in zip(self.sources, self.shares, strict=True)]
        means = [p.mean_context for p in self.sources]
        return sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)

    def rows_at(self, step: int, batch_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Source number and row number (batch_rows,) of each slot of ``step``; a pure function of (seed, step)."""
        slots = np.arange(step * batch_rows, (step + 1) * batch_rows, dtype=np.int64)
        source = np.zeros(batch_rows, dtype=np.int64)
        index = slots.copy()
        open_slots = np.ones(batch_rows, dtype=bool)
        for k in range(len(self.sources) - 1, 0, -1):
            share = self._last[k]
            before = index * share.numerator // share.denominator
            taken = open_slots & ((index + 1) * share.numerator // share.denominator > before)
            source[taken], open_slots = k, open_slots & ~taken
            index = np.where(taken, before, np.where(open_slots, index - before, index))
        rows = np.empty(batch_rows, dtype=np.int64)
        for k, packed in enumerate(self.sources):
            mine = np.flatnonzero(source == k)
            epochs, places = np.divmod(index[mine], len(packed))
            for epoch in np.unique(epochs):
                chosen = epochs == epoch
                rows[mine[chosen]] = self._permutation(k, int(epoch))[places[chosen]]
        return source, rows

    def batch(self, step: int, batch_rows: int, part: slice = slice(None)) -> Batch:
        """The batch of ``step``, rows in slot order; ``part``: the rows that one of several processes reads."""
        source, rows = (column[part] for column in self.rows_at(step, batch_rows))
        numbers = np.empty((4, len(rows), self.context), dtype=np.int64)
        weights = np.empty((len(rows), self.context), dtype=np.float32)
        for k, packed in enumerate(self.sources):
            mine = np.flatnonzero(source == k)
            if len(mine):
                numbers[:, mine], weights[mine] = packed.arrays(rows[mine])
        return _batch(numbers, weights, self.alone)

    def epochs(self, steps: int, batch_rows: int) -> list[float]:
        """How often ``steps`` steps read each source."""
        return [
            steps * batch_rows * share / len(packed) for packed, share in zip(self.sources, self.shares, strict=True)
        ]

    def describe(self) -> dict:
        """What the batches depend on, as JSON: mixtures of equal descriptions give equal batches."""
        sources = [packed.describe() for packed in self.sources]
        return {"seed": self.seed, "shares": self.shares, "sources": sources}

    def _permutation_of(self, source: int, epoch: int) -> np.ndarray:
        return numpy_generator("rows", self.seed, source, epoch).permutation(len(self.sources[source]))


def _batch(numbers: np.ndarray, weights: np.ndarray, alone: bool) -> Batch:
    inputs, targets, documents, positions = torch.from_numpy(numbers)
    tokens, weight = int((numbers[2] > 0).sum()), float(weights.sum(dtype=np.float64))
    return Batch(inputs, targets, torch.from_numpy(weights), documents, positions, alone, tokens, weight)


def _pack(lengths: np.ndarray, context: int, seed: int) -> list[list[int]]:
    """Best-fit decreasing within seeded windows: the sequences of each row."""
    order = numpy_generator("packing", seed).permutation(len(lengths))
    rows: list[list[int]] = []
    for start in range(0, len(order), WINDOW):
        window = order[start : start + WINDOW]
        window = window[np.argsort(-lengths[window], kind="stable")]
        room: list[tuple[int, int]] = []  # (slots left, row), sorted
        for i in window.tolist():
            need = int(lengths[i])
            at = bisect_left(room, (need, -1))
            if at == len(room):
                rows.append([i])
                left, row = context - need, len(rows) - 1
            else:
                left, row = room.pop(at)
                rows[row].append(i)
                left -= need
            insort(room, (left, row))
    return rows
