"""What exact Bayes says of d2 given d1 where pairs are made as `PairSampling` says: a mixture over what happened.

Each outcome (related, wrong, ..., near-duplicate) has its own law of d2, and the tokens of d2 tell which it was: the
weights adapt along the document. With wrong pairs alone this is w_t p(. | d1, x_<t) + (1 - w_t) p(. | x_<t), where w_t
is the sigmoid of log((1 - wrong) / wrong) plus the log Bayes factor so far; with near-duplicates alone the copy takes
over after a few matching tokens. An impossible d1 leaves -inf everywhere, as in `synthetic_worlds.exact`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic_worlds.pair_sampling import (
    NEAR_DUPLICATE,
    OUTCOMES,
    RELATED,
    RELATED_SAME_STYLE,
    WRONG,
    WRONG_SAME_STYLE,
    PairSampling,
    Styled,
)
from synthetic_worlds.world import ConceptWorld, Process, World, WorldError, normalise


def pair_log_prob(world: Process, d2: Tensor, d1: Tensor, options: PairSampling) -> Tensor:
    """(B,) log p(d2 | d1) of pairs sampled with ``options``; a density where documents are vectors.

    Raises WorldError where an option does not apply to the world.
    """
    return torch.cat([law.joint(d2).logsumexp(1) for law, d2 in _laws(world, d2, d1, options)])


def outcome_log_posterior(world: Process, d2: Tensor, d1: Tensor, options: PairSampling) -> Tensor:
    """(B, 5) log p(outcome | d1, d2), in the order of `OUTCOMES`; a prefix of d2 gives the weights at its end."""
    return torch.cat([normalise(law.joint(d2), dim=1)[0] for law, d2 in _laws(world, d2, d1, options)])


def pair_next_token_log_probs(world: World, d2: Tensor, d1: Tensor, options: PairSampling) -> Tensor:
    """(B, L', V) log p(x_t = v | d1, x_<t) of pairs sampled with ``options``.

    The entries at d2's own tokens sum to `pair_log_prob`. Raises WorldError where an option does not apply.
    """
    if not isinstance(world, World):
        raise WorldError(f"world {world.name}: its documents are vectors; it has no next token")
    return torch.cat([law.predict(d2) for law, d2 in _laws(world, d2, d1, options)])


@dataclass(frozen=True)
class _Law:
    """The mixture for some rows: d1 (B, L), outcome -> (the world, the belief about d2's concept in it)."""

    d1: Tensor
    log_weights: Tensor
    beliefs: dict[int, tuple[Process, Tensor]]
    edit_rate: float
    possible: Tensor

    def joint(self, d2: Tensor) -> Tensor:
        """(B, 5) log p(outcome, d2 | d1)."""
        joint = torch.full((len(d2), len(OUTCOMES)), -torch.inf, dtype=torch.float64)
        for outcome, (world, belief) in self.beliefs.items():
            joint[:, outcome] = world.update_belief(belief, d2)[1]
        if self.log_weights[NEAR_DUPLICATE] > -torch.inf:
            joint[:, NEAR_DUPLICATE] = self._copy(d2).gather(2, d2[..., None])[..., 0].sum(1)
        return self._given_possible(joint + self.log_weights)

    def predict(self, d2: Tensor) -> Tensor:
        """(B, L', V)."""
        laws = {outcome: world.predict_tokens(belief, d2) for outcome, (world, belief) in self.beliefs.items()}
        if self.log_weights[NEAR_DUPLICATE] > -torch.inf:
            laws[NEAR_DUPLICATE] = self._copy(d2)
        start = self._given_possible(self.log_weights[list(laws)].expand(len(d2), -1))[..., None]
        laws = torch.stack(list(laws.values()), 1)  # (B, H, L', V)
        steps = laws.gather(3, d2[:, None, :, None].expand(-1, laws.shape[1], -1, -1))[..., 0]
        before = torch.cat([start, start + steps[..., :-1].cumsum(-1)], -1)[..., : d2.shape[1]]
        return (normalise(before, dim=1)[0][..., None] + laws).logsumexp(1)

    def _copy(self, d2: Tensor) -> Tensor:
        """(B, L', V) log-probabilities of each token of a near-duplicate of d1."""
        vocabulary = self.beliefs[RELATED][0].V
        same = torch.nn.functional.one_hot(self.d1[:, : d2.shape[1]], vocabulary).double()
        others = (1 - same) * (self.edit_rate / max(1, vocabulary - 1))
        return ((1 - self.edit_rate) * same + others).log()

    def _given_possible(self, log_probs: Tensor) -> Tensor:
        return log_probs.masked_fill(~self.possible[:, None], -torch.inf)


def _laws(world: Process, d2: Tensor, d1: Tensor, options: PairSampling) -> Iterator[tuple[_Law, Tensor]]:
    """The law of each chunk of rows, and those rows of d2."""
    options.check(world)
    world.check_documents(d1, len(d1))
    world.check_documents(d2, len(d1))
    if options.near_duplicate and d2.shape[1] > d1.shape[1]:
        raise WorldError(f"world {world.name}: d2 of {d2.shape[1]} tokens; expected at most d1's {d1.shape[1]}")
    log_weights = options.outcome_probabilities().log()
    with_style = world.concept_and_style_world() if options.shared_style else None
    chunk = world.chunk if with_style is None else min(world.chunk, with_style.chunk)
    for first, second in zip(d1.split(chunk), d2.split(chunk), strict=True):
        prior = world.prior_belief(len(first)) if options.prior is None else options.prior.log().expand(len(first), -1)
        posterior, evidence = world.update_belief(prior, first)
        beliefs = {RELATED: (world, posterior), WRONG: (world, prior)}
        if with_style is not None:
            beliefs |= _beliefs_of_same_style(world, with_style, prior, first)
        # RELATED stays, whatever its weight: `_copy` looks the vocabulary up in it.
        beliefs = {k: v for k, v in beliefs.items() if k == RELATED or log_weights[k] > -torch.inf}
        yield _Law(first, log_weights, beliefs, options.edit_rate, evidence > -torch.inf), second


def _beliefs_of_same_style(
    world: Styled, with_style: ConceptWorld, prior: Tensor, d1: Tensor
) -> dict[int, tuple[Process, Tensor]]:
    """Beliefs about concept and style of a partner of d1's style: with its concept, and with one from ``prior``."""
    start = (prior[..., None] + world.style_prior.log()).flatten(1)
    both = with_style.update_belief(start, d1)[0]
    style = both.view(len(d1), world.C, -1).logsumexp(1)
    fresh_concept = (prior[..., None] + style[:, None]).flatten(1)
    return {RELATED_SAME_STYLE: (with_style, both), WRONG_SAME_STYLE: (with_style, fresh_concept)}
