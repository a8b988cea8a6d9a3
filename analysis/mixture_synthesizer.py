"""A mixture of synthesizers over whole documents: which one wrote a document is drawn once, not at each token."""

from collections.abc import Sequence

import torch
from torch import Tensor

from analysis.synthesizers import Synthesizer


def mixture_laws(laws: Tensor, weights: Tensor, documents: Tensor) -> Tensor:
    """(B, L, V) next-token log-probabilities along ``documents`` (B, L) where one of ``laws`` (P, B, L, V) was drawn
    for the whole document by ``weights`` (P,). -inf throughout after a beginning that all of them exclude."""
    at_tokens = laws.gather(3, documents[None, ..., None].expand(len(laws), -1, -1, 1))[..., 0]
    read = torch.cat([torch.zeros_like(at_tokens[..., :1]), at_tokens[..., :-1].cumsum(-1)], -1)
    joint = weights.log()[:, None, None] + read
    evidence = torch.logsumexp(joint, 0)
    before = torch.where(torch.isfinite(evidence), joint - evidence, -torch.inf)
    return torch.logsumexp(before[..., None] + laws, 0)


class MixtureSynthesizer:
    """q(d2 | d1) = sum_i weights_i q_i(d2 | d1).

    Its next-token laws weigh the parts by how well each foretold the words so far. A document that one part excludes is
    another's.
    """

    def __init__(self, parts: Sequence[Synthesizer], weights: Sequence[float], name: str):
        assert len(parts) == len(weights) and min(weights) >= 0 and abs(sum(weights) - 1) < 1e-9, weights
        self.parts, self.name = list(parts), name
        self.weights = torch.tensor(weights, dtype=torch.float64)

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        laws = torch.stack([part.next_token_log_probs(d2, *given) for part in self.parts])
        return mixture_laws(laws, self.weights, d2)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        writer = torch.multinomial(self.weights, len(given[0]), True, generator=generator)
        written = torch.zeros_like(given[0])
        for i, part in enumerate(self.parts):
            rows = (writer == i).nonzero()[:, 0]
            if len(rows):
                written[rows] = part.sample(generator, *[document[rows] for document in given])
        return written
