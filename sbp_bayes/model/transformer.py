"""A Llama-style decoder: pre-norm RMSNorm, RoPE, grouped-query attention, QK-norm, SwiGLU, no biases.

Modules carry the names of Hugging Face's Qwen3, whose architecture this is, so a checkpoint maps one to one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from sbp_bayes.errors import UserError
from sbp_bayes.model import operations
from sbp_bayes.model.cache import KeyValueCache
from sbp_bayes.model.document_mask import Segments, document_mask

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


@dataclass(frozen=True)
class ModelConfig:
    """A model's shape. ``head_dim`` need not be width / heads; ``tied`` shares the embedding with the output head."""

    vocabulary_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    tied: bool = True
    rope_theta: float = 1e4
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "width", "layers", "heads", "kv_heads", "head_dim", "hidden"):
            if getattr(self, name) < 1:
                raise UserError(f"model.{name}: expected a positive whole number, got {getattr(self, name)}")
        if self.heads % self.kv_heads:
            raise UserError(f"model.kv_heads: {self.kv_heads} does not divide model.heads = {self.heads}")
        if self.head_dim % 2:
            raise UserError(f"model.head_dim: RoPE needs an even number, got {self.head_dim}")


@dataclass(frozen=True)
class Reading:
    """What one forward pass knows of its tokens' places: shared by all layers.

    cos, sin (B or 1, 1, T, head_dim): RoPE; seen: which tokens each one may look at (`operations.attention`), None for
    all; causal: by order alone; positions (B, 1) and slots: where a decoding step writes in the cache and how much of
    it is read.
    """

    cos: Tensor
    sin: Tensor
    seen: "Tensor | Segments | BlockMask | None"
    causal: bool
    positions: Tensor | None = None
    slots: int = 0


class Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return operations.linear(x, self.weight)


def linear(inputs: int, outputs: int) -> Linear:
    """A linear map without bias whose weight waits for `Transformer.init` or a checkpoint."""
    return skip_init(Linear, inputs, outputs, bias=False, device=torch.get_default_device())


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return operations.rms_norm(x, self.weight, self.eps)

    def after_adding(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The norm of ``x + residual``, and that sum."""
        return operations.add_rms_norm(x, residual, self.weight, self.eps)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.head_dim = config.head_dim
        self.q_proj = linear(config.width, config.heads * config.head_dim)
        self.k_proj = linear(config.width, config.kv_heads * config.head_dim)
        self.v_proj = linear(config.width, config.kv_heads * config.head_dim)
        self.o_proj = linear(config.heads * config.head_dim, config.width)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(self, x: Tensor, layer: int, reading: Reading, cache: KeyValueCache | None) -> Tensor:
        query, key, value = (f(x).unflatten(-1, (-1, self.head_dim)) for f in (self.q_proj, self.k_proj, self.v_proj))
        gains, angles = (self.q_norm.weight, self.k_norm.weight), (reading.cos, reading.sin)
        query, key = operations.qk_norm_rope(query, key, *gains, *angles, self.q_norm.eps)
        value = value.transpose(1, 2)
        if cache is not None:
            cache.write(layer, key, value, reading.positions)
            if reading.positions is not None:
                key, value = cache.read(layer, reading.slots)
        mixed = operations.attention(query, key, value, reading.seen, reading.causal)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = linear(config.width, config.hidden)
        self.up_proj = linear(config.width, config.hidden)
        self.down_proj = linear(config.hidden, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(operations.swiglu(self.gate_proj(x), self.up_proj(x)))


class Block(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor, layer: int, reading: Reading, cache: KeyValueCache | None) -> Tensor:
        mixed = self.self_attn(self.input_layernorm(x), layer, reading, cache)
        normed, x = self.post_attention_layernorm.after_adding(mixed, x)
        return x + self.mlp(normed)


class Transformer(nn.Module):
    """Token ids in, hidden states or next-token logits out. Weights are undefined until `init` or a checkpoint."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = skip_init(
            nn.Embedding, config.vocabulary_size, config.width, device=torch.get_default_device()
        )
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.lm_head = None if config.tied else linear(config.width, config.vocabulary_size)

    def init(self, generator: torch.Generator) -> "Transformer":
        """Fill every weight by `init_weight`, in the order of `named_parameters`."""
        for name, weight in self.named_parameters():
            self.init_weight(name, weight, generator)
        return self

    @torch.no_grad()
    def init_weight(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """Normal weights of deviation 1/sqrt(inputs); 0.02 for the embedding; gains 1.

        The maps that write to the residual stream are divided by sqrt(2 * layers), so that its variance does not grow
        with depth (GPT-2). At the widths of large models 1/sqrt(inputs) is close to the usual 0.02.
        """
        if weight.dim() == 1:
            weight.fill_(1.0)
            return
        deviation = 0.02 if name == "embed_tokens.weight" else weight.shape[1] ** -0.5
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            deviation /= (2 * self.config.layers) ** 0.5
        weight.normal_(0.0, deviation, generator=generator)

    @property
    def head(self) -> Tensor:
        """The output matrix (V, D)."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    @property
    def parameters_count(self) -> int:
        """Numbers that are trained."""
        return sum(weight.numel() for weight in self.parameters())

    @property
    def matrix_parameters(self) -> int:
        """Weights that multiply each token (`sbp_bayes.ledger`): matrices and head; the look-up table is left out."""
        blocks = sum(weight.numel() for weight in self.layers.parameters() if weight.dim() == 2)
        return blocks + self.head.numel()

    @property
    def attention_width(self) -> int:
        """heads * head_dim (`sbp_bayes.ledger`)."""
        return self.config.heads * self.config.head_dim

    def new_cache(self, rows: int, capacity: int) -> KeyValueCache:
        """An empty cache for ``rows`` sequences of at most ``capacity`` tokens."""
        c, weight = self.config, self.norm.weight
        return KeyValueCache(c.layers, rows, c.kv_heads, capacity, c.head_dim, weight.dtype, weight.device)

    def hidden(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        document_ids: Tensor | None = None,
        cache: KeyValueCache | None = None,
        slots: int = 0,
        ragged: bool = True,
    ) -> Tensor:
        """Final hidden states (B, T, D), normalised, of tokens (B, T).

        positions (B, T): place of each token in its document; None: 0..T-1 in every row.
        document_ids (B, T): a token attends only to earlier tokens with its own id, which are adjacent; None: to all.
        cache: with ``positions`` None, read prompts and fill it; with ``positions`` (B, 1), one decoding step that
        reads the first ``slots`` slots (more than the largest position); ``ragged`` False promises that all positions
        are slots - 1, so that no mask is needed.
        """
        x = operations.embedding(tokens, self.embed_tokens.weight)
        reading = self._reading(tokens, positions, document_ids, cache, slots, ragged)
        for layer, block in enumerate(self.layers):
            x = block(x, layer, reading, cache)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits (..., V) of hidden states (..., D)."""
        return operations.linear(hidden, self.head)

    def forward(self, tokens: Tensor, positions: Tensor | None = None, document_ids: Tensor | None = None) -> Tensor:
        """Next-token logits (B, T, V)."""
        return self.logits(self.hidden(tokens, positions, document_ids))

    def token_losses(
        self, tokens: Tensor, targets: Tensor, positions: Tensor | None = None, document_ids: Tensor | None = None
    ) -> Tensor:
        """-log p(target | tokens so far) in nats, (B, T)."""
        hidden = self.hidden(tokens, positions, document_ids)
        losses = operations.linear_cross_entropy(hidden.flatten(0, 1), self.head, targets.flatten(), reduction="none")
        return losses.view(targets.shape)

    def weighted_nats(
        self,
        tokens: Tensor,
        targets: Tensor,
        weights: Tensor,
        positions: Tensor | None = None,
        document_ids: Tensor | None = None,
    ) -> Tensor:
        """Sum over targets of weight * -log p(target | tokens so far) in nats; tokens of weight 0 may cost nothing."""
        hidden = self.hidden(tokens, positions, document_ids).flatten(0, 1)
        return operations.linear_cross_entropy(
            hidden, self.head, targets.flatten(), weights=weights.flatten(), reduction="sum"
        )

    def _reading(
        self,
        tokens: Tensor,
        positions: Tensor | None,
        document_ids: Tensor | None,
        cache: KeyValueCache | None,
        slots: int,
        ragged: bool,
    ) -> Reading:
        length = tokens.shape[1]
        places = torch.arange(length, device=tokens.device)[None] if positions is None else positions
        cos, sin = operations.rotary_angles(places, self.config.head_dim, self.config.rope_theta)
        cos, sin = cos[:, None].to(self.norm.weight.dtype), sin[:, None].to(self.norm.weight.dtype)
        if cache is not None and positions is not None:
            assert length == 1 and document_ids is None and 0 < slots <= cache.capacity
            seen = torch.arange(slots, device=tokens.device) <= positions
            return Reading(cos, sin, seen[:, None, None] if ragged else None, False, positions, slots)
        if document_ids is None:
            return Reading(cos, sin, None, True)
        return Reading(cos, sin, document_mask(document_ids, cos.dtype), False)
