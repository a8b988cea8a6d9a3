"""Inside and prefix probabilities of many grammars at once, for documents whose length is part of the derivation.

A symbol that covers n > 1 words splits them into k and n - k with probability ``splits[n, k]`` and rewrites itself as
two symbols; one that covers a single word emits it. Every derivation from n words thus yields exactly n words. For
general grammars prefix probabilities need sums over unboundedly many derivations (Jelinek & Lafferty 1991, Stolcke
1995); here they are finite, and one pass from the root down gives those of all prefixes and of every next word:

    inside(i, n)[A]  = p(x_i .. x_(i+n-1) | A covers them)
                     = sum over k, B, C of splits[n, k] rules[A, B, C] inside(i, k)[B] inside(i + k, n - k)[C]
    prefix(i, n)[A]  = p(x_<i, and A covers the n words from i on), whatever those and all later words are
    prefix(0, L)     = 1 at the root's symbol, and below it the sum of two terms:
    a left child B,    whose sibling is yet to come:   prefix(i, m)[A] splits[m, n] sum_C rules[A, B, C]
    a right child C,   whose sibling has been read:    prefix(i - k, n + k)[A] splits[n + k, k] inside(i - k, k)[B]
                                                       * rules[A, B, C]
    p(x_<t, x_t = v) = sum_A prefix(t, 1)[A] words[A, v]

Work: L^3 N^2 + L^2 N^3 for a document of L words and N symbols. Words are scaled to be at most 1, so that all charts
are, and whatever underflows would have added less than 1e-307 to a result; where a result is not far above that the
document is done again in log space, so that -inf always means impossible. A chart is a list by n of tensors
(K, N, starts, B): K grammars, N symbols, B documents, so that all starts and documents of a step are one long vector.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK_ELEMENTS = 2**18  # of the widest intermediate, (K, N, N, L, B): 2 MiB, about what stays in cache
SAFE = 1e-200  # whatever underflowed on the way was below 1e-307: nothing beside a result above this


@dataclass(frozen=True, eq=False)
class SpanGrammars:
    """K grammars of N symbols over V words, symbol 0 the root's.

    rules: (K, N, N, N) p(B, C | A); words: (K, N, V) p(v | A); splits: (L + 1, L + 1) p(k | n), zero unless 0 < k < n.
    """

    rules: Tensor
    words: Tensor
    splits: Tensor

    @property
    def length(self) -> int:
        """Words of every document, L."""
        return len(self.splits) - 1

    @property
    def chunk(self) -> int:
        """Documents handled at a time."""
        return max(1, CHUNK_ELEMENTS // (self.rules[..., 0].numel() * self.length))


def preterminal_log_weights(grammars: SpanGrammars, tokens: Tensor) -> Tensor:
    """(B, K, L', N) log p(x_<t, the symbol that emits word t is A | grammar), for tokens (B, L'), L' <= L, in nats."""
    return torch.cat([_preterminal_log_weights(grammars, some) for some in tokens.split(grammars.chunk)])


def _preterminal_log_weights(grammars: SpanGrammars, tokens: Tensor) -> Tensor:
    words = grammars.words[:, :, tokens.T]  # (K, N, L', B)
    scale = words.amax(1, keepdim=True)
    scale = scale.masked_fill_(scale == 0, 1.0)
    plain = _Plain(grammars)
    inside = _inside(plain, words / scale)
    prefix = _prefix(plain, inside)
    log_scale = scale.log().cumsum(2) - scale.log()
    result = (prefix[1].log() + log_scale).permute(3, 0, 2, 1).contiguous()
    lossy = (prefix[1] < SAFE).flatten(0, 2).any(0)
    if lossy.any():
        log = _Log(grammars)
        prefix = _prefix(log, _inside(log, words[..., lossy].log()))
        result[lossy] = prefix[1].permute(3, 0, 2, 1)
    return result


class _Plain:
    """Sums and products of probabilities, into a total that starts from ``zero``."""

    zero, one = 0.0, 1.0

    def __init__(self, grammars: SpanGrammars):
        self.splits = grammars.splits.tolist()
        self.rules_A_BC = grammars.rules.flatten(2)
        self.rules_C_AB = grammars.rules.permute(0, 3, 1, 2).flatten(2)
        self.rules_B_A = grammars.rules.sum(3).transpose(1, 2)

    def add_product(self, total: Tensor, a: Tensor, b: Tensor, split: float) -> None:
        total.addcmul_(a, b, value=split)

    def add(self, total: Tensor, a: Tensor, split: float = 1.0) -> None:
        total.add_(a, alpha=split)

    def rewrite(self, rules: Tensor, cells: Tensor) -> Tensor:
        """(K, N, starts, B) from rules (K, N, M) and cells (K, M, starts, B)."""
        return (rules @ cells.flatten(2)).unflatten(2, cells.shape[2:])


class _Log:
    """The same in log space: slow, never underflows."""

    zero, one = -torch.inf, 0.0

    def __init__(self, grammars: SpanGrammars):
        plain = _Plain(grammars)
        self.splits = grammars.splits.log().tolist()
        self.rules_A_BC, self.rules_C_AB = plain.rules_A_BC.log(), plain.rules_C_AB.log()
        self.rules_B_A = plain.rules_B_A.log()

    def add_product(self, total: Tensor, a: Tensor, b: Tensor, split: float) -> None:
        torch.logaddexp(total, a + b + split, out=total)

    def add(self, total: Tensor, a: Tensor, split: float = 0.0) -> None:
        torch.logaddexp(total, a + split, out=total)

    def rewrite(self, rules: Tensor, cells: Tensor) -> Tensor:
        return (rules[..., None] + cells.flatten(2)[:, None]).logsumexp(2).unflatten(2, cells.shape[2:])


def _inside(arithmetic: _Plain | _Log, words: Tensor) -> list[Tensor]:
    """Chart of inside(i, n), n >= 1, from words (K, N, L', B); no prefix needs spans that end with the last."""
    K, N, length, B = words.shape
    chart = [words.new_empty(0), words]
    for n in range(2, length):
        pairs = words.new_full((K, N, N, length - n, B), arithmetic.zero)
        for k in range(1, n):
            left, right = chart[k][:, :, : length - n], chart[n - k][:, :, k : k + length - n]
            arithmetic.add_product(pairs, left[:, :, None], right[:, None], arithmetic.splits[n][k])
        chart.append(arithmetic.rewrite(arithmetic.rules_A_BC, pairs.flatten(1, 2)))
    return chart


def _prefix(arithmetic: _Plain | _Log, inside: list[Tensor]) -> list[Tensor]:
    """Chart of prefix(i, n), n >= 1, for i < L', from the chart of inside."""
    K, N, length, B = inside[1].shape
    longest = len(arithmetic.splits) - 1
    root = inside[1].new_full((K, N, 1, B), arithmetic.zero)
    root[:, 0] = arithmetic.one
    chart = [root.new_empty(0)] * longest + [root]
    for n in range(longest - 1, 0, -1):
        starts = min(length, longest - n + 1)
        parents = root.new_full((K, N, starts, B), arithmetic.zero)
        pairs = root.new_full((K, N, N, starts, B), arithmetic.zero)
        for m in range(n + 1, longest + 1):
            arithmetic.add(parents[:, :, : chart[m].shape[2]], chart[m], arithmetic.splits[m][n])
        for k in range(1, starts):
            parent, read = chart[n + k][:, :, : starts - k], inside[k][:, :, : starts - k]
            arithmetic.add_product(pairs[..., k:, :], parent[:, :, None], read[:, None], arithmetic.splits[n + k][k])
        chart[n] = arithmetic.rewrite(arithmetic.rules_B_A, parents)
        arithmetic.add(chart[n], arithmetic.rewrite(arithmetic.rules_C_AB, pairs.flatten(1, 2)))
    return chart
