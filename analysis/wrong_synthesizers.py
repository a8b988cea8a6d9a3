"""Synthesizers that are wrong in one known way each, by name: what a measure must be able to refute.

The ones that every run shows beside the trained one are in `analysis.synthesizers`; here are all, with those that make
sense in some worlds only.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    LabelSwappedSynthesizer,
    MapSynthesizer,
    PriorSynthesizer,
    Synthesizer,
    TemperedSynthesizer,
    sample_token_by_token,
)
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.pair_sampling import PairSampling
from synthetic_worlds.world import World

NOISE = 0.3  # share of wrong pairs that the noisy ones act on
LEAK = 0.5  # share of documents that keep the style of d1
COPIES = 0.05
MARGINAL_DOCUMENTS = 4096


class StyleLeakingSynthesizer(PairLawSynthesizer):
    """A paraphraser: with probability ``rate`` d2 keeps d1's style, which exact Bayes draws anew.

    Raises WorldError where documents have no style.
    """

    def __init__(self, world: World, rate: float = LEAK):
        super().__init__(world, PairSampling(shared_style=rate))
        self.name = f"style-leaking {100 * rate:g} %"


class AdaptiveNoiseSynthesizer(PairLawSynthesizer):
    """Exact Bayes for pairs of which a share ``rate`` is wrong: right for such pairs, wrong for clean ones.

    w_t p*(. | d1, x_<t) + (1 - w_t) p(. | x_<t), where the words of d2 tell more and more which it is.
    """

    def __init__(self, world: World, rate: float = NOISE):
        super().__init__(world, PairSampling(wrong=rate))
        self.name = f"adaptive noise {100 * rate:g} %"


class StaticMixtureSynthesizer:
    """Noise learnt as a fixed share of every token: (1 - rate) p*(. | d1, x_<t) + rate p(. | x_<t)."""

    def __init__(self, world: World, rate: float = NOISE):
        assert 0 < rate < 1, rate
        self.parts = (ExactSynthesizer(world), PriorSynthesizer(world))
        self.log_weights = torch.tensor([1 - rate, rate], dtype=torch.float64).log()
        self.name = f"static mixture {100 * rate:g} %"

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        laws = torch.stack([part.next_token_log_probs(d2, *given) for part in self.parts])
        return torch.logsumexp(laws + self.log_weights[:, None, None, None], dim=0)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        return sample_token_by_token(self, given[0].shape[1], generator, *given)


class UnconditionalSynthesizer:
    """Reads nothing, not even its own beginning: each token from the law of that position over all documents.

    The prior synthesizer ignores d1 but infers the concept from the words of d2 so far; this one does neither. Its
    laws are exact next-token laws averaged over ``documents`` sampled documents, always the same.
    """

    name = "unconditional"

    def __init__(self, world: World, documents: int = MARGINAL_DOCUMENTS):
        total = torch.zeros(world.L, world.V, dtype=torch.float64)
        for some in world.sample(documents, generator("unconditional")).tokens.split(512):
            total += exact.next_token_log_probs(world, some).exp().sum(0)
        self.log_law = (total / documents).log()

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        return self.log_law[: d2.shape[1]].expand(len(d2), -1, -1)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        length = given[0].shape[1]
        columns = [torch.multinomial(law, len(given[0]), True, generator=generator) for law in self.log_law.exp()]
        return torch.stack(columns[:length], dim=1)


WRONG: dict[str, Callable[[World], Synthesizer]] = {
    "prior": PriorSynthesizer,
    "MAP": MapSynthesizer,
    "tempered-0.7": lambda world: TemperedSynthesizer(ExactSynthesizer(world), 0.7),
    "tempered-1.3": lambda world: TemperedSynthesizer(ExactSynthesizer(world), 1.3),
    "copying": lambda world: CopyingSynthesizer(world, COPIES),
    "label-swapped": LabelSwappedSynthesizer,
    "style-leaking": StyleLeakingSynthesizer,
    "static-mixture": StaticMixtureSynthesizer,
    "adaptive-noise": AdaptiveNoiseSynthesizer,
    "unconditional": UnconditionalSynthesizer,
}


def why_not(kind: str, world: World) -> str | None:
    """Why ``world`` has no synthesizer that is wrong in this way, or None where it has one."""
    needs = {
        "MAP": ("most_probable", "no most probable concept among finitely many"),
        "label-swapped": ("shifted", "no labels to swap"),
        "style-leaking": ("concept_and_style_world", "no private style"),
    }
    attribute, reason = needs.get(kind, ("name", ""))
    return None if hasattr(world, attribute) else f"world {world.name} has {reason}"


def make_wrong(kind: str, world: World) -> Synthesizer:
    """The synthesizer wrong in the way ``kind``, any case. Raises UserError for an unknown kind or a world without."""
    known = {name.lower(): name for name in WRONG}
    if kind.lower() not in known:
        raise UserError(f"--wrong {kind}: expected one of {', '.join(WRONG)}")
    name = known[kind.lower()]
    reason = why_not(name, world)
    if reason:
        raise UserError(f"--wrong {name}: {reason}")
    return WRONG[name](world)
