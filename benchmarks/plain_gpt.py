"""The yardstick of trainer_cpu.py: a GPT and its training loop as nanoGPT has them, in plain PyTorch.

LayerNorm, learned positions, one matrix for queries, keys and values, a GELU MLP, the head tied to the embedding, no
biases, AdamW, clipping; batches are random windows of one stream of tokens. It shares no code with the trainer.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """A GPT's shape; ``hidden`` is the width of the MLP."""

    vocabulary_size: int
    context: int
    layers: int
    width: int
    heads: int
    hidden: int


class Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.heads = shape.heads
        self.ln_1 = nn.LayerNorm(shape.width, bias=False)
        self.c_attn = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.c_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.ln_2 = nn.LayerNorm(shape.width, bias=False)
        self.c_fc = nn.Linear(shape.width, shape.hidden, bias=False)
        self.c_out = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        q, k, v = (
            part.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.c_attn(self.ln_1(x)).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).contiguous().view(rows, length, width))
        return x + self.c_out(F.gelu(self.c_fc(self.ln_2(x))))


class GPT(nn.Module):
    """Token ids (B, L) and targets (B, L) in, mean cross-entropy in nats out."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.wte = nn.Embedding(shape.vocabulary_size, shape.width)
        self.wpe = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deviation = 0.02 / math.sqrt(2 * shape.layers) if name.endswith(("proj.weight", "out.weight")) else 0.02
                nn.init.normal_(weight, 0.0, deviation)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


def train(model: GPT, stream: np.ndarray, steps: int, rows: int, context: int, rate: float, compiled: bool) -> float:
    """Train for ``steps`` steps on a stream of tokens (N,); returns the last loss."""
    decayed = [weight for weight in model.parameters() if weight.dim() >= 2]
    rest = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95))
    forward = torch.compile(model) if compiled else model
    warm = max(1, round(0.05 * steps))
    for step in range(steps):
        progress = (step - warm) / max(1, steps - warm)
        share = (step + 1) / (warm + 1) if step < warm else 0.1 + 0.45 * (1 + math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate * share
        starts = torch.randint(len(stream) - context, (rows,))
        tokens = torch.stack([torch.from_numpy(stream[i : i + context].astype(np.int64)) for i in starts])
        targets = torch.stack([torch.from_numpy(stream[i + 1 : i + 1 + context].astype(np.int64)) for i in starts])
        loss = forward(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return loss.item()
