"""AdamW with decay on matrices only."""

import torch

from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.configuration import TrainingConfig


def adamw(model: Transformer, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over all parameters: matrices decay (embedding and head too), the gains of norms do not.

    Decaying the embedding matters here: where few documents are repeated many times it is most of what there is to
    regularise in a small model.
    """
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    gains = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
