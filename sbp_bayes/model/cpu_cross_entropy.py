"""Cross-entropy of a linear head for training on a CPU: logits a few rows at a time, gradients on the way.

A block of logits is still in the processor's cache when its gradient is taken, tokens of weight 0 (a d1, padding) never
meet the head, and the whole matrix of logits is never made (the idea of Liger Kernel's fused linear cross-entropy).
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sbp_bayes.model.cpu_linear import product

BLOCK = 2**19  # logits at a time: 2 MB
FEWEST_ROWS = 128  # fewer make matrix products slow


def serves(hidden: Tensor, head: Tensor) -> bool:
    """Whether `weighted_nats` is the form for ``hidden``: plain float32 on a CPU, in training, not compiled."""
    return (
        hidden.device.type == "cpu"
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and type(hidden) is Tensor
        and type(head) in (Tensor, nn.Parameter)
        and hidden.dtype == head.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
    )


def weighted_nats(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Sum over tokens of weight * -log softmax(hidden @ head.T)[target], in nats: a number.

    hidden (N, D), head (V, D), targets (N,) int64, weights (N,), which are not learnt.
    """
    return _WeightedNats.apply(hidden, head, targets, weights)


class _WeightedNats(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        counted = weights.nonzero().squeeze(1)
        everything = len(counted) == len(weights)
        if not everything:
            ctx.shape, hidden = hidden.shape, hidden[counted]
            targets, weights = targets[counted], weights[counted]
        for_hidden, for_head = torch.empty_like(hidden), torch.zeros_like(head)
        total = hidden.new_zeros(())
        rows = max(FEWEST_ROWS, BLOCK // len(head))
        parts = (hidden, targets.unsqueeze(1), weights.unsqueeze(1), for_hidden)
        for h, target, weight, gradient in zip(*(part.split(rows) for part in parts), strict=True):
            logits = product(h, head)
            lse = logits.logsumexp(1, keepdim=True)
            total += ((lse - logits.gather(1, target)) * weight).sum()
            logits.sub_(lse).exp_()  # probabilities
            logits.scatter_add_(1, target, torch.full_like(lse, -1.0)).mul_(weight)
            gradient.copy_(product(logits, head.T))
            for_head += product(h.T, logits.T).T
        ctx.counted = None if everything else counted
        ctx.save_for_backward(for_hidden, for_head)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        for_hidden, for_head = (saved * gradient for saved in ctx.saved_tensors)
        if ctx.counted is not None:
            for_hidden = for_hidden.new_zeros(ctx.shape).index_copy_(0, ctx.counted, for_hidden)
        return for_hidden, for_head, None, None
