"""Linear cross-entropy over the weighted tokens only: logits in chunks of rows, one Triton program a row.

Tokens of weight 0 (the d1 half of a pair, padding) are dropped before the head's matrix product and cost nothing; what
their rows hold, NaN included, cannot reach a result. Gradients are computed with the loss, over the chunk's logits,
so that all logits never exist at once (Wijmans et al. 2024, Hsu et al. 2024). Definition:
`sbp_bayes.model.operations.linear_cross_entropy`. Shapes: N tokens, D width, V vocabulary.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase

CHUNK_ELEMENTS = 2**29  # logits of one chunk: 1 GiB in bfloat16, 4096 rows at a vocabulary of 128k
BLOCK = 4096
INFINITY = tl.constexpr(float("inf"))


@triton.jit
def row_kernel(
    logits,
    targets,
    weights,
    losses,
    V,
    row_stride,
    BLOCK: tl.constexpr,
    GRADIENT: tl.constexpr,
):
    """One row a program: weight * -log softmax(logits)[target]; where GRADIENT its gradient, written over the logits.

    One pass over the row finds maximum and sum together, lane by lane; they are joined at the end.
    """
    row = tl.cast(tl.program_id(0), tl.int64)
    base = logits + row * row_stride
    target = tl.load(targets + row)
    weight = tl.load(weights + row).to(tl.float32)
    top = tl.full([BLOCK], -INFINITY, tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, V, BLOCK):
        column = start + tl.arange(0, BLOCK)
        x = tl.load(base + column, mask=column < V, other=-INFINITY).to(tl.float32)
        higher = tl.maximum(top, x)
        # Where both are -inf their difference would be NaN.
        total = total * tl.exp(tl.where(top == higher, 0.0, top - higher))
        total += tl.where(x == -INFINITY, 0.0, tl.exp(x - higher))
        top = higher
    highest = tl.max(top, 0)
    log_total = highest + tl.log(tl.sum(total * tl.exp(top - highest), 0))
    at_target = tl.load(base + target).to(tl.float32)
    tl.store(losses + row, weight * (log_total - at_target))
    if GRADIENT:
        tl.debug_barrier()  # every lane has read its logits before any are overwritten
        for start in range(0, V, BLOCK):
            column = start + tl.arange(0, BLOCK)
            x = tl.load(base + column, mask=column < V, other=-INFINITY).to(tl.float32)
            gradient = weight * (tl.exp(x - log_total) - tl.where(column == target, 1.0, 0.0))
            tl.store(base + column, gradient.to(logits.dtype.element_ty), mask=column < V)


def configuration(vocabulary: int) -> dict[str, int]:
    """Block and warps for rows of ``vocabulary`` logits."""
    block = min(BLOCK, triton.next_power_of_2(vocabulary))
    return {"BLOCK": block, "num_warps": max(1, min(8, block // 256))}


def compile_cases() -> Iterator[CompileCase]:
    """Scoring and training, for a world's vocabulary and for a language model's."""
    for vocabulary in (64, 128_256):
        for dtype in ("bf16", "fp32"):
            for gradient in (False, True):
                arguments = {
                    **{"logits": f"*{dtype}", "targets": "*i64", "weights": "*fp32", "losses": "*fp32"},
                    **{"V": "i32:16", "row_stride": "i32:16", "GRADIENT": gradient},
                    **configuration(vocabulary),
                }
                yield CompileCase(row_kernel, arguments)


@torch.library.custom_op("sbp_bayes::token_nats", mutates_args=())
def token_nats(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """(N,) float32 -log softmax(hidden @ head.T)[targets]; has no gradient."""
    ones = torch.ones(len(targets), device=hidden.device)
    parts = [
        _row_losses(hidden[rows] @ head.T, targets[rows], ones[rows], gradient=False)
        for rows in torch.arange(len(targets), device=hidden.device).split(_chunk(head))
    ]
    return torch.cat(parts)


@token_nats.register_fake
def _(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    return hidden.new_empty(len(targets), dtype=torch.float32)


@torch.library.custom_op("sbp_bayes::weighted_nats", mutates_args=())
def _weighted_nats(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, hidden_too: bool, head_too: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, and its gradients by hidden and head where asked for, else empty tensors."""
    kept = weights.nonzero()[:, 0]
    loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
    by_hidden = torch.zeros_like(hidden) if hidden_too else hidden.new_empty(0)
    by_head = None
    for rows in kept.split(_chunk(head)) if len(kept) else ():
        some = hidden[rows]
        logits = some @ head.T
        loss += _row_losses(logits, targets[rows], weights[rows], gradient=hidden_too or head_too).sum()
        if hidden_too:
            by_hidden.index_copy_(0, rows, logits @ head)
        if head_too:  # sums of chunks in float32; one chunk alone needs no sum
            part = logits.T @ some
            by_head = part if by_head is None else by_head.float().add_(part)
    if by_head is None:
        by_head = torch.zeros_like(head) if head_too else head.new_empty(0)
    return loss, by_hidden, by_head.to(head.dtype)


@_weighted_nats.register_fake
def _(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, hidden_too: bool, head_too: bool
) -> tuple[Tensor, Tensor, Tensor]:
    by_hidden = torch.empty_like(hidden) if hidden_too else hidden.new_empty(0)
    by_head = torch.empty_like(head) if head_too else head.new_empty(0)
    return hidden.new_empty((), dtype=torch.float32), by_hidden, by_head


def _keep_gradients(ctx, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    _, by_hidden, by_head = output
    ctx.save_for_backward(by_hidden, by_head)
    ctx.mark_non_differentiable(by_hidden, by_head)
    ctx.set_materialize_grads(False)


def _scale_gradients(ctx, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    if gradient is None:
        return (None,) * 6
    scaled = [
        (kept * gradient).to(kept.dtype) if needed else None
        for kept, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
    ]
    return (*scaled, None, None, None, None)


_weighted_nats.register_autograd(_scale_gradients, setup_context=_keep_gradients)


def weighted_nats(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Sum over tokens of weight * -log softmax(hidden @ head.T)[target], a float32 scalar.

    hidden (N, D), head (V, D), targets (N,) int64, weights (N,) float32, which have no gradient.
    """
    wanted = torch.is_grad_enabled()
    return _weighted_nats(
        hidden, head, targets, weights, wanted and hidden.requires_grad, wanted and head.requires_grad
    )[0]


def _row_losses(logits: Tensor, targets: Tensor, weights: Tensor, gradient: bool) -> Tensor:
    losses = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
    if len(logits):
        V, options = logits.shape[1], configuration(logits.shape[1])
        row_kernel[(len(logits),)](logits, targets, weights, losses, V, logits.stride(0), GRADIENT=gradient, **options)
    return losses


def _chunk(head: Tensor) -> int:
    return max(1, CHUNK_ELEMENTS // len(head))
