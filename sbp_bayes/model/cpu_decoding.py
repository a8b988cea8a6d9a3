"""Decoding on a CPU with half of the operations: `Transformer.hidden` of prompts and of single tokens, in float32.

Equal to it but for rounding: gains of norms are folded into the matrices behind them, matrices that read the same input
are one, and queries and keys are normalised and rotated together (benchmarks/sampler.py).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sbp_bayes.model import cpu_linear
from sbp_bayes.model.cache import KeyValueCache
from sbp_bayes.model.operations import rotary_angles
from sbp_bayes.model.transformer import Transformer


def serves(model: Transformer) -> bool:
    """Whether `CpuDecoder` is the form of this model's decoding."""
    weight = model.norm.weight
    return weight.device.type == "cpu" and weight.dtype == torch.float32


class CpuDecoder:
    """The model's decoding, prompts and steps; its weights are read once, when it is made."""

    def __init__(self, model: Transformer):
        self.config, self.embedding = model.config, model.embed_tokens.weight
        self.norm = model.norm.weight
        self.blocks = [_Block(block) for block in model.layers]

    def prompt(self, tokens: Tensor, lengths: Tensor, cache: KeyValueCache) -> Tensor:
        """Final hidden states (R, D) of the last token of each prompt: tokens (R, T), padded behind their lengths (R,).

        Fills the cache as `Transformer.hidden` does. The last layer computes no more than is asked for.
        """
        c, last = self.config, lengths - 1
        rows, angles = torch.arange(len(tokens)), self._angles(torch.arange(tokens.shape[1]))
        x = self.embedding[tokens]
        for layer, block in enumerate(self.blocks):
            mixed, value = (heads.transpose(1, 2) for heads in self._heads(x, block, *angles))
            query, key = mixed.split((c.heads, c.kv_heads), dim=1)
            cache.write(layer, key, value, None)
            if block is self.blocks[-1]:
                x, query = x[rows, last], query[rows, :, last][:, :, None]
                read = self._attend(query, key, value, self._seen(last, tokens.shape[1]), False).flatten(1)
            else:
                read = self._attend(query, key, value, None, True).transpose(1, 2).flatten(2)
            x = self._finish(x, read, block)
        return self._end(x)

    def step(self, tokens: Tensor, positions: Tensor, cache: KeyValueCache, slots: int, ragged: bool) -> Tensor:
        """Final hidden states (R, D) of tokens (R,) at positions (R,); cache, slots and ragged as in
        `Transformer.hidden`."""
        c = self.config
        angles = self._angles(positions)
        seen = self._seen(positions, slots) if ragged else None
        heads = torch.arange(len(tokens) * c.kv_heads) * cache.capacity
        places = heads + positions.repeat_interleave(c.kv_heads)
        x = self.embedding[tokens]
        for layer, block in enumerate(self.blocks):
            mixed, value = self._heads(x, block, *angles)
            for stored, new in ((cache.keys, mixed[:, c.heads :]), (cache.values, value)):
                stored[layer].view(-1, c.head_dim).index_copy_(0, places, new.reshape(-1, c.head_dim))
            read = self._attend(mixed[:, : c.heads, None], *cache.read(layer, slots), seen, False)
            x = self._finish(x, read.flatten(1), block)
        return self._end(x)

    def _angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (..., 1, d); the half of a head that is subtracted has its sign in the sines."""
        half = self.config.head_dim // 2
        cos, sin = rotary_angles(positions, self.config.head_dim, self.config.rope_theta)
        return cos[..., None, :], torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)[..., None, :]

    def _seen(self, positions: Tensor, slots: int) -> Tensor:
        """0 where a token at its position (R,) may look, else -inf: (R, 1, 1, slots)."""
        hidden = torch.arange(slots) > positions[:, None]
        return torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)[:, None, None]

    def _heads(self, x: Tensor, block: "_Block", cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys together (..., H + K, d), normalised and rotated, and values (..., K, d)."""
        c = self.config
        rows = cpu_linear.product(_scaled(x, c.norm_eps), block.qkv).unflatten(-1, (-1, c.head_dim))
        mixed, value = rows.split((c.heads + c.kv_heads, c.kv_heads), dim=-2)
        mixed = _scaled(mixed, c.norm_eps).mul_(block.gains)
        turned = mixed.unflatten(-1, (2, -1)).flip(-2).flatten(-2)
        return mixed.mul_(cos).addcmul_(turned, sin), value

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        grouped = self.config.heads != self.config.kv_heads
        return F.scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=causal, enable_gqa=grouped)

    def _finish(self, x: Tensor, read: Tensor, block: "_Block") -> Tensor:
        """The block's output for its input ``x`` and what its attention read."""
        x = x + cpu_linear.product(read, block.out)
        gate, up = cpu_linear.product(_scaled(x, self.config.norm_eps), block.gate_up).chunk(2, dim=-1)
        return x.add_(cpu_linear.product(F.silu(gate).mul_(up), block.down))

    def _end(self, x: Tensor) -> Tensor:
        return _scaled(x, self.config.norm_eps).mul_(self.norm)


class _Block:
    def __init__(self, block):
        attention, mlp = block.self_attn, block.mlp
        projections = [attention.q_proj, attention.k_proj, attention.v_proj]
        self.qkv = torch.cat([p.weight for p in projections]) * block.input_layernorm.weight
        self.out, self.down = attention.o_proj.weight, mlp.down_proj.weight
        gains = [(p, norm.weight) for p, norm in zip(projections, (attention.q_norm, attention.k_norm), strict=False)]
        self.gains = torch.cat([gain.expand(len(p.weight) // len(gain), -1) for p, gain in gains])
        self.gate_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * block.post_attention_layernorm.weight


def _scaled(x: Tensor, eps: float) -> Tensor:
    """``x / rms(x)`` over the last dimension."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x * norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
