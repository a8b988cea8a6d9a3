"""The optimisers: AdamW, Muon for hidden matrices, AdamW with states in bfloat16."""

from typing import Any

import torch

from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.configuration import TrainingConfig


def make_optimiser(model: Transformer, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser that ``config.optimiser`` names; its groups all take the one rate of `learning_rate_at`."""
    if config.optimiser == "muon":
        return Muon(model, config)
    groups = decay_groups(model, config)
    if config.optimiser == "adamw-bf16":
        from sbp_bayes.training.adamw_bf16 import AdamWBf16

        return AdamWBf16(groups, lr=config.learning_rate, betas=config.betas, seed=config.seed)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def decay_groups(model: Transformer, config: TrainingConfig) -> list[dict[str, Any]]:
    """Parameter groups: matrices decay (embedding and head too), the gains of norms do not.

    Decaying the embedding matters here: where few documents are repeated many times it is most of what there is to
    regularise in a small model.
    """
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    gains = [weight for weight in model.parameters() if weight.dim() < 2]
    return [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for embedding, head and gains, as one optimiser.

    Muon's step of an (A, B) matrix is scaled by 0.2 sqrt(max(A, B)), which gives it the root mean square of AdamW's
    (Liu et al. 2025, "Muon is scalable for LLM training"), so that one learning rate and one weight decay, those of
    the size dial, serve both. Momentum is 0.95 with Nesterov's correction.
    """

    def __init__(self, model: Transformer, config: TrainingConfig):
        hidden = [weight for weight in model.layers.parameters() if weight.dim() == 2]
        taken = {id(weight) for weight in hidden}
        rest = [
            {**group, "params": [weight for weight in group["params"] if id(weight) not in taken]}
            for group in decay_groups(model, config)
        ]
        self._muon = torch.optim.Muon(
            hidden, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        self._adamw = torch.optim.AdamW(rest, lr=config.learning_rate, betas=config.betas, fused=True)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step of both. Each works on its share of this optimiser's groups and on the one state, which a
        checkpoint replaces whenever it is loaded.
        """
        self._muon.param_groups, self._adamw.param_groups = self.param_groups[:1], self.param_groups[1:]
        self._muon.state = self._adamw.state = self.state
        self._muon.step()
        self._adamw.step()
