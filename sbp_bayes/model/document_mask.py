"""Which tokens of packed rows may see which, in the form that the device's attention takes.

A token sees the earlier tokens of its own document, whose tokens are adjacent. Three forms say so:

* a boolean mask for masked `scaled_dot_product_attention`: everywhere, and the definition;
* `Segments` for `torch.nn.attention.varlen` (Flash Attention), on a GPU in half precision, outside torch.compile: how
  many documents there are is known only from the data;
* a `BlockMask` for FlexAttention, on a GPU where `varlen_attn` is missing or can't be used.

SBP_BAYES_ATTENTION=sdpa, varlen or flex takes that form on every device. What the forms say of the tokens is tested
against the mask on a CPU; that Flash Attention and compiled FlexAttention do as they are told has not been tested here,
for want of a GPU.
"""

import inspect
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

FORMS = ("auto", "sdpa", "varlen", "flex")
FORM = os.environ.get("SBP_BAYES_ATTENTION") or "auto"

if FORM not in FORMS:
    raise UserError(f"SBP_BAYES_ATTENTION={FORM}: expected one of {', '.join(FORMS)}")


@dataclass(frozen=True)
class Segments:
    """Documents end to end, the rows of a batch too.

    starts (S + 1,) int32: where each document begins among the B * T tokens, and their number; longest: no document has
    more tokens.
    """

    starts: Tensor
    longest: int


def document_mask(document_ids: Tensor, dtype: torch.dtype) -> "Tensor | Segments | BlockMask":
    """What attention is told of ``document_ids`` (B, T); dtype: of queries and keys."""
    form = _form(document_ids, dtype)
    if form == "sdpa":
        return boolean_mask(document_ids)
    return segments(document_ids) if form == "varlen" else block_mask(document_ids)


def boolean_mask(document_ids: Tensor) -> Tensor:
    """(B, 1, T, T): True where a query may look."""
    length = document_ids.shape[1]
    order = torch.ones(length, length, dtype=torch.bool, device=document_ids.device).tril()
    return ((document_ids[:, :, None] == document_ids[:, None, :]) & order)[:, None]


def segments(document_ids: Tensor) -> Segments:
    """A document begins with every row and wherever the id changes. Waits for the device, as the count is data."""
    first = torch.ones_like(document_ids, dtype=torch.bool)
    first[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    starts = first.flatten().nonzero()[:, 0]
    return Segments(F.pad(starts, (0, 1), value=document_ids.numel()).to(torch.int32), document_ids.shape[1])


def block_mask(document_ids: Tensor) -> "BlockMask":
    """The same for FlexAttention, which leaves out blocks of 128 x 128 that nothing sees."""
    from torch.nn.attention.flex_attention import create_block_mask

    def seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (document_ids[row, query] == document_ids[row, key])

    B, T = document_ids.shape
    return create_block_mask(seen, B, None, T, T, device=document_ids.device)


def varlen_attention(query: Tensor, key: Tensor, value: Tensor, seen: Segments) -> Tensor:
    """Causal Flash Attention within each segment; shapes as in `sbp_bayes.model.operations.attention`."""
    from torch.nn.attention.varlen import varlen_attn

    rows = query.shape[0]
    query, key, value = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, value))
    bounds = seen.starts, seen.starts, seen.longest, seen.longest
    grouped = query.shape[1] != key.shape[1]
    mixed = varlen_attn(query, key, value, *bounds, window_size=(-1, 0), enable_gqa=grouped)
    return mixed.unflatten(0, (rows, -1)).transpose(1, 2)


def flex_attention(query: Tensor, key: Tensor, value: Tensor, seen: "BlockMask") -> Tensor:
    """FlexAttention, compiled on its own unless it is part of something that is being compiled."""
    function = _flex() if torch.compiler.is_compiling() else _compiled_flex()
    return function(query, key, value, block_mask=seen, enable_gqa=query.shape[1] != key.shape[1])


def _form(document_ids: Tensor, dtype: torch.dtype) -> str:
    if FORM != "auto":
        return FORM
    if not document_ids.is_cuda:
        return "sdpa"
    if torch.compiler.is_compiling() or dtype not in (torch.bfloat16, torch.float16):
        return "flex"
    return "varlen" if _has_varlen() else "flex"


@cache
def _has_varlen() -> bool:
    """Whether this PyTorch has `varlen_attn` with windows and grouped queries."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return {"window_size", "enable_gqa"} <= inspect.signature(varlen_attn).parameters.keys()


def _flex():
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention


@cache
def _compiled_flex():
    return torch.compile(_flex(), dynamic=False)
