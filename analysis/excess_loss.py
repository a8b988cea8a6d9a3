"""How far a model is above exact Bayes on documents that it never saw."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class MeanLoss:
    """A mean over ``n`` documents with standard errors; nats/token and nats/document."""

    per_token: float
    per_token_se: float
    per_document: float
    per_document_se: float
    n: int


def mean_loss(nats: Tensor, tokens: Tensor) -> MeanLoss:
    """Total nats over total tokens: nats (N,), tokens (N,) of each document.

    The standard error of the ratio is the delta method's; with equal lengths it is that of the mean.
    """
    n = len(nats)
    nats, tokens = nats.double(), tokens.double()
    rate, mean_tokens = nats.sum() / tokens.sum(), tokens.mean()
    scale = n**0.5
    return MeanLoss(
        per_token=float(rate),
        per_token_se=float((nats - rate * tokens).std() / mean_tokens / scale),
        per_document=float(nats.mean()),
        per_document_se=float(nats.std() / scale),
        n=n,
    )


def excess_loss(log_probs: Tensor, exact_log_probs: Tensor, tokens: Tensor) -> MeanLoss:
    """Held-out nats above exact Bayes, from paired differences document by document.

    log_probs: log q(d) of each document (N,); exact_log_probs: its log evidence (N,); tokens: (N,).
    Its null, the value for exact Bayes, is 0; it estimates KL(p || q), which is never below 0.
    """
    return mean_loss(exact_log_probs - log_probs, tokens)
