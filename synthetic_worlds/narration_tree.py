"""Exact inference in a forest of categorical variables: sums and maxima over all assignments without listing them.

p(a) = prod_i p(a_i | a_parent(i)); a belief is *evidence*, an unnormalised log-likelihood of each value of each
variable, so that p(a | evidence) is proportional to p(a) * prod_i exp(evidence_i(a_i)). Messages run up the forest and
down again: A * K^2 operations a row for A variables of K values. Everything stays in log space: -inf, never NaN.
Pearl (1988), Probabilistic Reasoning in Intelligent Systems, chapter 4.

Shapes: N rows, A variables, K values.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic_worlds.categorical import cumulative, draw


@dataclass(frozen=True, eq=False)
class Forest:
    """parents: (A,) each before its children, -1 for a root; log_transition: (A, K, K) log p(a_i = k | a_parent = j).

    All rows of a root are the same.
    """

    parents: tuple[int, ...]
    log_transition: Tensor

    def log_prior(self, assignments: Tensor) -> Tensor:
        """(N,) log p(a) of ``assignments`` (N, A)."""
        above = assignments[:, [max(parent, 0) for parent in self.parents]]
        return self.log_transition[torch.arange(len(self.parents)), above, assignments].sum(1)

    def log_partition(self, evidence: Tensor) -> Tensor:
        """(N,) log sum_a p(a) exp(evidence(a)) of ``evidence`` (N, A, K)."""
        _, messages = self._upward(evidence)
        return sum(messages[i][:, 0] for i, parent in enumerate(self.parents) if parent < 0)

    def log_marginals(self, evidence: Tensor) -> Tensor:
        """(N, A, K) log p(a_i = k | evidence); all -inf in a row of impossible evidence."""
        return torch.stack([joint.logsumexp(1) for joint in self._pairs(evidence)], 1)

    def entropy(self, evidence: Tensor) -> Tensor:
        """(N,) entropy of p(a | evidence), nats: that of each variable given its parent, summed."""
        total = evidence.new_zeros(len(evidence))
        for joint in self._pairs(evidence):
            conditional = joint - joint.logsumexp(2, keepdim=True).masked_fill(joint == -torch.inf, 0.0)
            total -= torch.where(joint == -torch.inf, 0.0, joint.exp() * conditional).sum((1, 2))
        return total

    def collision(self, evidence: Tensor) -> Tensor:
        """(N,) sum_a p(a | evidence)^2: the chance that two draws agree on everything. 0 for impossible evidence."""
        squared = Forest(self.parents, 2 * self.log_transition).log_partition(2 * evidence)
        total = self.log_partition(evidence)
        return (squared - 2 * total.masked_fill(squared == -torch.inf, 0.0)).exp()

    def sample(self, evidence: Tensor, generator: torch.Generator) -> Tensor:
        """(N, A) one assignment a row from p(a | evidence), which must be possible."""
        beliefs, _ = self._upward(evidence)
        chosen: list[Tensor] = []
        for i, parent in enumerate(self.parents):
            above = chosen[parent] if parent >= 0 else torch.zeros(len(evidence), dtype=torch.int64)
            weights = torch.softmax(self.log_transition[i][above] + beliefs[i], 1)
            chosen.append(draw(cumulative(weights), 1, generator)[:, 0])
        return torch.stack(chosen, 1)

    def most_probable(self, evidence: Tensor) -> Tensor:
        """(N, A) the assignment with the greatest p(a | evidence): maxima in place of sums on the way up."""
        beliefs, _ = self._upward(evidence, maximum=True)
        chosen: list[Tensor] = []
        for i, parent in enumerate(self.parents):
            above = chosen[parent] if parent >= 0 else torch.zeros(len(evidence), dtype=torch.int64)
            chosen.append((self.log_transition[i][above] + beliefs[i]).argmax(1))
        return torch.stack(chosen, 1)

    def _upward(self, evidence: Tensor, maximum: bool = False) -> tuple[list[Tensor], list[Tensor]]:
        """For each variable, (N, K) log-likelihood of all evidence at and below it: given itself, given its parent."""
        beliefs = list(evidence.unbind(1))
        messages = [evidence[:, 0]] * len(beliefs)
        for i in reversed(range(len(beliefs))):
            terms = self.log_transition[i] + beliefs[i][:, None]
            messages[i] = terms.amax(2) if maximum else terms.logsumexp(2)
            if self.parents[i] >= 0:
                beliefs[self.parents[i]] = beliefs[self.parents[i]] + messages[i]
        return beliefs, messages

    def _pairs(self, evidence: Tensor) -> list[Tensor]:
        """For each variable, (N, K, K) log p(a_parent = j, a_i = k | evidence); a root's parent is always 0."""
        beliefs, messages = self._upward(evidence)
        pairs: list[Tensor] = []
        possible = self.log_partition(evidence) > -torch.inf
        root = torch.full_like(evidence[:, 0], -torch.inf)
        root[:, 0] = torch.where(possible, 0.0, -torch.inf)
        for i, parent in enumerate(self.parents):
            above = pairs[parent].logsumexp(1) if parent >= 0 else root
            # p(parent, child) = p(parent) p(child | parent, evidence below); an impossible parent stays impossible.
            given_parent = self.log_transition[i] + beliefs[i][:, None]
            given_parent = given_parent - messages[i].masked_fill(messages[i] == -torch.inf, 0.0)[..., None]
            pairs.append(above[..., None] + given_parent)
        return pairs
