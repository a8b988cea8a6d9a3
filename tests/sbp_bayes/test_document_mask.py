"""The three forms of the document mask say the same, and attention over each gives the same."""

import inspect

import pytest
import torch
import torch.nn.functional as F

from sbp_bayes.model import document_mask, operations
from sbp_bayes.model.document_mask import block_mask, boolean_mask, segments

ROWS = {
    "packed": [[1, 1, 2, 2, 2, 3, 0, 0], [1, 2, 3, 3, 3, 3, 3, 4]],
    "one each": [[1, 1, 1, 1], [1, 1, 1, 1]],  # no boundary within a row, only between rows
    "single tokens": [[1, 2, 3, 4]],
    "next row goes on with the same id": [[1, 1, 2, 2], [2, 2, 3, 3]],
    "all padding": [[0, 0, 0]],
}
rows = pytest.mark.parametrize("ids", [torch.tensor(rows) for rows in ROWS.values()], ids=ROWS)


def by_hand(ids):
    B, T = ids.shape
    seen = torch.zeros(B, 1, T, T, dtype=torch.bool)
    for row in range(B):
        for query in range(T):
            for key in range(query + 1):
                seen[row, 0, query, key] = ids[row, query] == ids[row, key]
    return seen


def heads(ids):
    generator = torch.Generator().manual_seed(0)
    B, T = ids.shape
    return [torch.randn(B, T, h, 16, generator=generator).transpose(1, 2) for h in (4, 2, 2)]


def flash(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, window_size=(-1, -1), enable_gqa=False):
    """What `varlen_attn` promises, one segment after another, on a CPU."""
    assert cu_seq_q.dtype == torch.int32 and torch.equal(cu_seq_q, cu_seq_k) and cu_seq_q[-1] == len(query)
    assert max_q == max_k >= cu_seq_q.diff().max() and window_size == (-1, 0)
    parts = []
    for first, last in cu_seq_q.unfold(0, 2, 1).tolist():
        some = (x[first:last].transpose(0, 1)[None] for x in (query, key, value))
        parts.append(F.scaled_dot_product_attention(*some, is_causal=True, enable_gqa=enable_gqa)[0].transpose(0, 1))
    return torch.cat(parts)


@rows
def test_boolean_mask(ids):
    assert torch.equal(boolean_mask(ids), by_hand(ids))


@rows
def test_segments_say_what_the_mask_says(ids):
    found = segments(ids)
    B, T = ids.shape
    assert found.starts.dtype == torch.int32 and found.starts[0] == 0 and found.starts[-1] == B * T
    assert found.starts.diff().min() > 0 and found.starts.diff().max() <= found.longest
    member = torch.searchsorted(found.starts, torch.arange(B * T), right=True)
    order = torch.ones(B * T, B * T, dtype=torch.bool).tril()
    assert torch.equal((member[:, None] == member) & order, torch.block_diag(*by_hand(ids)[:, 0].int()).bool())


@rows
def test_block_mask_says_what_the_mask_says(ids):
    found = block_mask(ids)
    B, T = ids.shape
    places = (torch.arange(n) for n in (B, 1, T, T))
    assert torch.equal(found.mask_mod(*torch.meshgrid(*places, indexing="ij")), by_hand(ids))


@rows
def test_flash_attention_over_segments_equals_the_masked_form(ids, monkeypatch):
    from torch.nn.attention import varlen

    inspect.signature(varlen.varlen_attn).bind(*[None] * 7, window_size=(-1, 0), enable_gqa=True)
    monkeypatch.setattr(varlen, "varlen_attn", flash)
    inputs = heads(ids)
    expected = operations.attention(*inputs, boolean_mask(ids), False)
    torch.testing.assert_close(operations.attention(*inputs, segments(ids), False), expected)


@rows
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by PyTorch's own tracing
def test_flex_attention_within_a_compiled_function_equals_the_masked_form(ids):
    attend = torch.compile(
        lambda q, k, v, ids: operations.attention(q, k, v, block_mask(ids), False), fullgraph=True, backend="eager"
    )
    inputs = heads(ids)
    torch.testing.assert_close(attend(*inputs, ids), operations.attention(*inputs, boolean_mask(ids), False))


def test_the_form_is_chosen_by_device_and_can_be_forced(monkeypatch):
    ids = torch.tensor([[1, 1, 2]])
    assert torch.equal(document_mask.document_mask(ids, torch.bfloat16), boolean_mask(ids))
    monkeypatch.setattr(document_mask, "FORM", "varlen")
    assert document_mask.document_mask(ids, torch.float32).starts.tolist() == [0, 2, 3]
    monkeypatch.setattr(document_mask, "FORM", "flex")
    assert document_mask.document_mask(ids, torch.float32).shape == (1, 1, 3, 3)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_the_whole_model_compiles_with_flex_attention(make_model, monkeypatch):
    model, ids = make_model(), torch.tensor([[1, 1, 2, 2, 2, 0], [1, 2, 3, 3, 3, 3]])
    positions = torch.tensor([[0, 1, 0, 1, 2, 0], [0, 0, 0, 1, 2, 3]])
    tokens = torch.randint(5, (2, 6), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.token_losses(tokens, tokens, positions, ids)
        monkeypatch.setattr(document_mask, "FORM", "flex")
        compiled = torch.compile(model.token_losses, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(tokens, tokens, positions, ids), expected)
