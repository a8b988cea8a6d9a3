"""The model against a plain float64 rendering of its formulas, and what attention may see."""

import math

import numpy as np
import pytest
import torch

from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.seeds import generator


def reference_logits(model: Transformer, tokens: list[int]) -> np.ndarray:
    """Logits (T, V) of one sequence, written out with loops from the formulas of Llama and Qwen3."""
    w = {name: weight.detach().double().numpy() for name, weight in model.named_parameters()}
    c = model.config

    def norm(x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c.norm_eps) * gain

    def rotate(x, position):
        half = c.head_dim // 2
        out = x.copy()
        for i in range(half):
            angle = position * c.rope_theta ** (-2 * i / c.head_dim)
            a, b = x[i], x[i + half]
            out[i], out[i + half] = a * math.cos(angle) - b * math.sin(angle), b * math.cos(angle) + a * math.sin(angle)
        return out

    x = w["embed_tokens.weight"][tokens]
    for layer in range(c.layers):
        p = f"layers.{layer}."
        h = norm(x, w[p + "input_layernorm.weight"])
        q = (h @ w[p + "self_attn.q_proj.weight"].T).reshape(len(tokens), c.heads, c.head_dim)
        k = (h @ w[p + "self_attn.k_proj.weight"].T).reshape(len(tokens), c.kv_heads, c.head_dim)
        v = (h @ w[p + "self_attn.v_proj.weight"].T).reshape(len(tokens), c.kv_heads, c.head_dim)
        q, k = norm(q, w[p + "self_attn.q_norm.weight"]), norm(k, w[p + "self_attn.k_norm.weight"])
        mixed = np.zeros((len(tokens), c.heads, c.head_dim))
        for t in range(len(tokens)):
            for head in range(c.heads):
                shared = head // (c.heads // c.kv_heads)
                scores = np.array(
                    [rotate(q[t, head], t) @ rotate(k[s, shared], s) / math.sqrt(c.head_dim) for s in range(t + 1)]
                )
                weights = np.exp(scores - scores.max())
                mixed[t, head] = (weights / weights.sum()) @ v[: t + 1, shared]
        x = x + mixed.reshape(len(tokens), -1) @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, w[p + "post_attention_layernorm.weight"])
        gate, up = h @ w[p + "mlp.gate_proj.weight"].T, h @ w[p + "mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "mlp.down_proj.weight"].T
    head = w["embed_tokens.weight"] if c.tied else w["lm_head.weight"]
    return norm(x, w["norm.weight"]) @ head.T


@pytest.mark.parametrize("shape", [{}, {"tied": False}, {"kv_heads": 4}, {"kv_heads": 1, "head_dim": 10}])
def test_logits_equal_the_written_out_formulas(make_model, shape):
    model = make_model(**shape)
    tokens = [11, 3, 1, 4, 1, 5, 13]
    logits = model(torch.tensor([tokens]))[0].detach().double().numpy()
    np.testing.assert_allclose(logits, reference_logits(model, tokens), atol=2e-5)


def test_gradients_equal_finite_differences(make_model):
    model = make_model(layers=1, width=8, heads=2, kv_heads=1, head_dim=4, hidden=8).double()
    tokens, targets = torch.tensor([[11, 3, 1]]), torch.tensor([[3, 1, 13]])

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())

    loss().backward()
    for name, weight in model.named_parameters():
        flat, gradient = weight.data.view(-1), weight.grad.view(-1)
        for i in (0, flat.numel() // 2, flat.numel() - 1):
            kept, step = flat[i].item(), 1e-5
            flat[i] = kept + step
            up = loss().item()
            flat[i] = kept - step
            down = loss().item()
            flat[i] = kept
            assert gradient[i].item() == pytest.approx((up - down) / (2 * step), abs=1e-6), name


def test_token_losses_are_the_cross_entropy_of_the_logits(make_model):
    model = make_model()
    tokens, targets = torch.tensor([[11, 3, 1], [11, 9, 2]]), torch.tensor([[3, 1, 13], [9, 2, 13]])
    expected = -model(tokens).log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(model.token_losses(tokens, targets), expected)


@pytest.fixture
def packed(make_corpus, random_documents, tokenizer) -> Packed:
    packed = Packed(DocumentSequences(make_corpus(random_documents(20, 2, 9)), tokenizer), 24, 0)
    assert not packed.alone
    return packed


def test_attention_does_not_cross_documents(make_model, packed):
    model, batch = make_model(), packed.batch(np.arange(len(packed)))
    row = next(r for r in range(len(packed)) if len(packed.members(r)) >= 3)
    mine = batch.document_ids[row] == 2
    changed = batch.inputs.clone()
    changed[row] = torch.where(mine, changed[row], (changed[row] + 1) % 11)
    before, after = (model(tokens, **batch.attention)[row][mine] for tokens in (batch.inputs, changed))
    assert torch.equal(before, after)
    # The same change is visible where documents are not told apart, so the test can fail.
    assert not torch.allclose(model(batch.inputs)[row][mine], model(changed)[row][mine])


def test_attention_does_not_look_ahead(make_model):
    model = make_model()
    tokens = torch.tensor([[11, 3, 1, 4, 1]])
    changed = tokens.clone()
    changed[0, 3] = 7
    assert torch.equal(model(tokens)[0, :3], model(changed)[0, :3])
    assert not torch.allclose(model(tokens)[0, 3], model(changed)[0, 3])


def test_packed_losses_equal_those_of_documents_alone(make_model, packed):
    model, batch = make_model(), packed.batch(np.arange(len(packed)))
    losses = model.token_losses(batch.inputs, batch.targets, **batch.attention)
    for row in range(len(packed)):
        for number, member in enumerate(packed.members(row), start=1):
            tokens = torch.from_numpy(packed.sequences.sequence(int(member))[0])[None]
            alone = model.token_losses(tokens[:, :-1], tokens[:, 1:])[0]
            torch.testing.assert_close(losses[row][batch.document_ids[row] == number], alone, atol=1e-5, rtol=1e-5)


def test_padding_is_finite(make_model, packed):
    batch = packed.batch(np.arange(len(packed)))
    assert (batch.document_ids == 0).any()
    assert make_model()(batch.inputs, **batch.attention).isfinite().all()


@torch.no_grad()
def test_cached_hidden_states_equal_uncached_ones_at_different_lengths(make_model):
    model = make_model()
    lengths, longest, new = torch.tensor([2, 5, 3]), 5, 4
    tokens = torch.randint(0, 11, (3, longest + new), generator=generator("cache test"))
    cache = model.new_cache(3, longest + new)
    prompts = torch.where(torch.arange(longest) < lengths[:, None], tokens[:, :longest], 13)
    model.hidden(prompts, cache=cache)
    for step in range(new):
        at = lengths + step
        slots = int(at.max()) + 1
        step_hidden = model.hidden(tokens[range(3), at][:, None], at[:, None], cache=cache, slots=slots)
        for row in range(3):
            whole = model.hidden(tokens[row : row + 1, : at[row] + 1])[0, -1]
            torch.testing.assert_close(step_hidden[row, 0], whole, atol=1e-5, rtol=1e-5)


def test_initial_weights_follow_the_generator_alone():
    config = ModelConfig(14, width=24, layers=2, heads=4, kv_heads=2, head_dim=8, hidden=40)
    state = torch.get_rng_state()
    first, again, other = (Transformer(config).init(generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    for (name, a), b, c in zip(first.named_parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.dim() == 1 or not torch.equal(a, c), name
    assert first.layers[0].mlp.down_proj.weight.std().item() == pytest.approx(40**-0.5 / 2, rel=0.1)


@pytest.mark.parametrize(
    ("change", "key"), [({"kv_heads": 3}, "kv_heads"), ({"head_dim": 7}, "head_dim"), ({"width": 0}, "width")]
)
def test_impossible_shapes_are_refused(make_model, change, key):
    with pytest.raises(UserError, match=f"model.{key}"):
        make_model(**change)
