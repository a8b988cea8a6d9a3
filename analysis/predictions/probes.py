"""Linear probes: how well a ridge regression reads a target off features, on documents it was not fitted to.

Decodability alone is cheap: random features of a document's words give much of its posterior. So the same probe reads
the same target off a random network and off word counts, and only what is above them counts.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FOLDS = 5
PENALTIES = tuple(10.0**power for power in range(-3, 5))


@dataclass(frozen=True)
class Explained:
    """Share of variance explained out of fold, over all columns of the target together.

    r2: the share, at most 1; residual: (N,) squared error of each document over the target's variance: 1 minus its
    mean is r2.
    """

    r2: float
    residual: Tensor

    @property
    def se(self) -> float:
        """Standard error over documents."""
        return float(self.residual.std()) / math.sqrt(len(self.residual))


def probe(features: Tensor, target: Tensor, folds: int = FOLDS) -> Explained:
    """Ridge regression of ``target`` (N, K) on ``features`` (N, D), cross-validated.

    Features are standardised in each fold, the penalty is the best of `PENALTIES` by leave-one-out within it; document
    i is in fold i mod ``folds``.
    """
    target = target.double()
    predicted = torch.empty_like(target)
    fold = torch.arange(len(target)) % folds
    for k in range(folds):
        inside, outside = fold != k, fold == k
        slope, mean, centre = ridge(features[inside], target[inside])
        predicted[outside] = (features[outside].double() - centre) @ slope + mean
    variance = float((target - target.mean(0)).square().sum(1).mean())
    if variance == 0:
        return Explained(math.nan, torch.full((len(target),), math.nan, dtype=torch.float64))
    residual = (target - predicted).square().sum(1) / variance
    return Explained(1 - float(residual.mean()), residual)


def ridge(features: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes (D, K) on the features as they come, the target's mean (K,) and the features' (D,)."""
    from sklearn.linear_model import RidgeCV

    features = features.double()
    centre, scale = features.mean(0), features.std(0)
    live = scale > 1e-9 * scale.max().clamp_min(1e-30)
    scaled = torch.where(live, (features - centre) / torch.where(live, scale, 1.0), 0.0)
    mean = target.mean(0)
    model = RidgeCV(alphas=np.array(PENALTIES) * 1.0, fit_intercept=False).fit(scaled.numpy(), (target - mean).numpy())
    slope = torch.from_numpy(np.atleast_2d(model.coef_).T.copy())
    return torch.where(live[:, None], slope / torch.where(live, scale, 1.0)[:, None], 0.0), mean, centre


def subspace(features: Tensor, target: Tensor, rank: int) -> Tensor:
    """Orthonormal directions (D, ``rank``) along which ``features`` (N, D) vary with ``target`` (N, K).

    The span of their covariance: with it projected out no linear probe reads the target any more. The directions that
    a ridge probe weighs would not do: where features are correlated, others carry the target too.
    """
    x, z = features.double() - features.double().mean(0), target.double() - target.double().mean(0)
    return torch.linalg.svd(x.T @ z / len(x), full_matrices=False).U[:, :rank]


def random_subspace(width: int, rank: int, generator: torch.Generator) -> Tensor:
    """Orthonormal directions (``width``, ``rank``), all equally likely."""
    return torch.linalg.qr(torch.randn(width, rank, generator=generator, dtype=torch.float64)).Q


def word_counts(documents: Tensor, vocabulary: int) -> Tensor:
    """(N, V) how often each word occurs in ``documents`` (N, L)."""
    counts = torch.zeros(len(documents), vocabulary, dtype=torch.float64)
    return counts.scatter_add_(1, documents, torch.ones(documents.shape, dtype=torch.float64))


def one_hot_ceiling(posterior: Tensor, prior: Tensor) -> float:
    """Share of variance of the concept's one-hot that its posterior explains: the most that d1 lets anyone read.

    posterior: (N, C) of the documents; (E sum p^2 - sum pi^2) / (1 - sum pi^2).
    """
    base = float(prior.square().sum())
    return (float(posterior.square().sum(1).mean()) - base) / (1 - base)
