"""W1 on a GPU: gather log phi[c, x_t], sum over t, logsumexp over concepts, in one pass over each document.

The PyTorch form, which is the definition, is `ConceptWorld.update_belief` and `ConceptWorld.prefix_log_probs`. float64
like that form, in log space throughout: -inf always means impossible. Memory beyond the arguments and results: none.
"""

import triton
import triton.language as tl
from torch import Tensor

from synthetic_worlds.kernels import MIXTURE_CONCEPTS


@triton.jit
def log_sum(log_weights):
    """Logsumexp over the last of two axes; -inf, not NaN, where all are -inf."""
    top = tl.max(log_weights, 1)
    top = tl.where(top == float("-inf"), 0.0, top)
    return top + tl.log(tl.sum(tl.exp(log_weights - top[:, None]), 1))


@triton.jit
def update_kernel(
    log_words,
    belief,
    tokens,
    posterior,
    prefixes,
    B,
    L,
    C,
    belief_row,
    belief_column,
    DOCUMENTS: tl.constexpr,
    CONCEPTS: tl.constexpr,
    EVERY: tl.constexpr,
):
    """Each program: DOCUMENTS rows of tokens (B, L) and all C <= CONCEPTS concepts. log_words is (V, C).

    prefixes is (B, L) where EVERY, and otherwise (B,): the whole document's log-probability alone.
    """
    row = tl.cast(tl.program_id(0), tl.int64) * DOCUMENTS + tl.arange(0, DOCUMENTS)
    concept = tl.arange(0, CONCEPTS)
    inside = (row < B)[:, None] & (concept < C)[None, :]
    log_weights = tl.load(
        belief + row[:, None] * belief_row + concept[None, :] * belief_column, mask=inside, other=float("-inf")
    )
    for t in range(L):
        token = tl.load(tokens + row * L + t, mask=row < B, other=0)
        log_weights += tl.load(log_words + token[:, None] * C + concept[None, :], mask=inside, other=float("-inf"))
        if EVERY:
            tl.store(prefixes + row * L + t, log_sum(log_weights), mask=row < B)
    total = log_sum(log_weights)
    if not EVERY:
        tl.store(prefixes + row, total, mask=row < B)
    total = tl.where(total == float("-inf"), 0.0, total)
    tl.store(posterior + row[:, None] * C + concept[None, :], log_weights - total[:, None], mask=inside)


def configuration(concepts: int) -> dict[str, int]:
    """Tile and warps for a number of concepts: about eight float64 log-weights a thread."""
    width = triton.next_power_of_2(concepts)
    documents = max(1, 256 // width)
    return {
        "DOCUMENTS": documents,
        "CONCEPTS": width,
        "num_warps": min(16, max(1, documents * width // 256)),
    }


def update(log_words_VC: Tensor, belief: Tensor, tokens: Tensor, every: bool = False) -> tuple[Tensor, Tensor]:
    """Posterior (B, C) over concepts after ``tokens`` (B, L) int64, and log p(tokens | belief).

    log_words_VC: (V, C) float64, contiguous; belief: (B, C) float64, of any strides. The second result is (B,) or,
    with ``every``, (B, L): log p(x_<=t | belief) for each t. An impossible document has -inf throughout.
    """
    (B, L), C = tokens.shape, log_words_VC.shape[1]
    assert C <= MIXTURE_CONCEPTS and log_words_VC.is_contiguous()
    posterior, prefixes = belief.new_empty(B, C), belief.new_empty((B, L) if every else (B,))
    options = configuration(C)
    arguments = (log_words_VC, belief, tokens.contiguous(), posterior, prefixes, B, L, C, *belief.stride())
    update_kernel[(triton.cdiv(B, options["DOCUMENTS"]),)](*arguments, EVERY=every, **options)
    return posterior, prefixes
