"""What else does the work of each kernel: other libraries and PyTorch's own, on the inputs of `sbp bench`.

A rival takes a case and its inputs and returns what to time. Where it does less or other work its name says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sbp_bayes.bench_cases import BenchCase
from sbp_bayes.bench_timing import call

IGNORED = -100


@dataclass(frozen=True)
class Rival:
    """prepare(case, inputs) returns the call to time; needs: the module it comes from."""

    kernel: str
    name: str
    prepare: Callable[[BenchCase, list], Callable[[], object]]
    needs: str = "torch"


def ignoring(targets: Tensor, weights: Tensor) -> Tensor:
    """Targets with those of weight 0 ignored: no rival takes weights, and those of the cases are equal."""
    return targets.masked_fill(weights == 0, IGNORED)


def torch_loss(case: BenchCase, inputs: list) -> Callable[[], object]:
    def loss(e: Tensor, c: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        options = torch.nn.modules.linear_cross_entropy_options.LinearCrossEntropyOptions()
        return F.linear_cross_entropy(e, c, ignoring(targets, weights), ignore_index=IGNORED, options=options)

    return call(loss, inputs, case.learnt)


def liger_loss(case: BenchCase, inputs: list) -> Callable[[], object]:
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    def loss(e: Tensor, c: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return liger_fused_linear_cross_entropy(e, c, ignoring(targets, weights))

    return call(loss, inputs, case.learnt)


def cut_loss(filter_eps: str | None) -> Callable[[BenchCase, list], Callable[[], object]]:
    def prepare(case: BenchCase, inputs: list) -> Callable[[], object]:
        from cut_cross_entropy import linear_cross_entropy

        def loss(e: Tensor, c: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
            return linear_cross_entropy(e, c, ignoring(targets, weights), filter_eps=filter_eps)

        return call(loss, inputs, case.learnt)

    return prepare


def liger_norm(case: BenchCase, inputs: list) -> Callable[[], object]:
    from liger_kernel.transformers.functional import liger_fused_add_rms_norm

    return call(liger_fused_add_rms_norm, inputs, case.learnt)


def liger_heads(case: BenchCase, inputs: list) -> Callable[[], object]:
    from liger_kernel.transformers.functional import liger_rms_norm, liger_rope

    def norm_rope(query, key, query_gain, key_gain, cos, sin, eps) -> tuple[Tensor, Tensor]:
        query, key = liger_rms_norm(query, query_gain, eps), liger_rms_norm(key, key_gain, eps)
        return liger_rope(query.transpose(1, 2), key.transpose(1, 2), cos[:, 0], sin[:, 0])

    return call(norm_rope, inputs, case.learnt)


def liger_gates(case: BenchCase, inputs: list) -> Callable[[], object]:
    from liger_kernel.transformers.functional import liger_swiglu

    return call(liger_swiglu, inputs, case.learnt)


def fused_adamw(case: BenchCase, inputs: list) -> Callable[[], object]:
    parameters, gradients = inputs[:2]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_().grad = gradient
    return torch.optim.AdamW(parameters, fused=True).step


def sorted_top_p(case: BenchCase, inputs: list) -> Callable[[], object]:
    def draw(logits: Tensor, temperature: float, top_p: float, uniforms: Tensor) -> Tensor:
        probs, tokens = (logits / temperature).softmax(-1).sort(-1, descending=True)
        probs = probs.masked_fill(probs.cumsum(-1) - probs >= top_p, 0.0)
        return tokens.gather(1, torch.multinomial(probs, 1))[:, 0]

    return call(draw, inputs)


def product_top_k(case: BenchCase, inputs: list) -> Callable[[], object]:
    def search(queries: Tensor, keys: Tensor, k: int) -> tuple[Tensor, ...]:
        parts = [(some @ keys.T).topk(k, dim=1) for some in queries.split(1024)]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))

    return call(search, inputs)


RIVALS = [
    Rival("linear_cross_entropy", "F.linear_cross_entropy", torch_loss),
    Rival("linear_cross_entropy", "Liger", liger_loss, "liger_kernel"),
    Rival("linear_cross_entropy", "cut-cross-entropy, exact", cut_loss(None), "cut_cross_entropy"),
    Rival("linear_cross_entropy", "cut-cross-entropy, small gradients left out", cut_loss("high"), "cut_cross_entropy"),
    Rival("rms_norm", "Liger", liger_norm, "liger_kernel"),
    Rival("qk_norm_rope", "Liger, norm then rope", liger_heads, "liger_kernel"),
    Rival("swiglu", "Liger", liger_gates, "liger_kernel"),
    Rival("adamw", "torch.optim.AdamW(fused=True), rounds to nearest", fused_adamw),
    Rival("top_p", "sort, PyTorch", sorted_top_p),
    Rival("cosine_top_k", "matmul + topk in chunks", product_top_k),
]
