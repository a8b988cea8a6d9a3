"""Decoding steps on a CPU with half of the operations: `Transformer.hidden` for one new token a row, in float32.

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
    """Whether `CpuDecoder` is the form of this model's decoding steps."""
    weight = model.norm.weight
    return weight.device.type == "cpu" and weight.dtype == torch.float32


class CpuDecoder:
    """The model's decoding steps; its weights are read once, when it is made."""

    def __init__(self, model: Transformer):
        self.config, self.embedding = model.config, model.embed_tokens.weight
        self.norm = model.norm.weight
        self.blocks = [_Block(block) for block in model.layers]

    def hidden(self, tokens: Tensor, positions: Tensor, cache: KeyValueCache, slots: int, ragged: bool) -> Tensor:
        """Final hidden states (R, D) of tokens (R,) at positions (R,); cache, slots and ragged as in
        `Transformer.hidden`."""
        c = self.config
        cos, sin = (angle[:, None] for angle in rotary_angles(positions, c.head_dim, c.rope_theta))
        # The half that is subtracted has its sign in the sines.
        sin = torch.cat((-sin[..., : c.head_dim // 2], sin[..., c.head_dim // 2 :]), dim=-1)
        seen = torch.zeros(len(tokens), 1, 1, slots) if ragged else None
        if seen is not None:
            seen.masked_fill_((torch.arange(slots) > positions[:, None])[:, None, None], -torch.inf)
        heads = torch.arange(len(tokens) * c.kv_heads) * cache.capacity
        places = heads + positions.repeat_interleave(c.kv_heads)
        x = self.embedding[tokens]
        for layer, block in enumerate(self.blocks):
            rows = cpu_linear.product(_scaled(x, c.norm_eps), block.qkv).unflatten(-1, (-1, c.head_dim))
            mixed = _scaled(rows[:, : -c.kv_heads], c.norm_eps).mul_(block.gains)
            turned = mixed.unflatten(-1, (2, -1)).flip(2).flatten(2)
            mixed = mixed.mul_(cos).addcmul_(turned, sin)
            for stored, new in ((cache.keys, mixed[:, c.heads :]), (cache.values, rows[:, -c.kv_heads :])):
                stored[layer].view(-1, c.head_dim).index_copy_(0, places, new.reshape(-1, c.head_dim))
            read = F.scaled_dot_product_attention(
                mixed[:, : c.heads, None],
                *cache.read(layer, slots),
                attn_mask=seen,
                enable_gqa=c.heads != c.kv_heads,
            )
            x = x + cpu_linear.product(read.flatten(1), block.out)
            gate, up = cpu_linear.product(_scaled(x, c.norm_eps), block.gate_up).chunk(2, dim=-1)
            x += cpu_linear.product(F.silu(gate).mul_(up), block.down)
        return _scaled(x, c.norm_eps).mul_(self.norm)


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
