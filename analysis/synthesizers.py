"""Synthesizers under one protocol: exact Bayes, the deliberately wrong ones, and a trained transformer.

Every measure takes any of them, so every measure can be shown to pass on the right one and to fail on each wrong one.
Shapes: B documents, L tokens, C concepts, V symbols, M conditioning documents.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from analysis.measures import EXACT, MAP, PRIOR, SYNTHESIZER
from sbp_bayes.errors import UserError
from synthetic_worlds import exact
from synthetic_worlds.narration import Narration
from synthetic_worlds.world import World


class Synthesizer(Protocol):
    """A conditional law of a document d2 given related documents."""

    name: str

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        """log q(x_t = v | given, x_<t) for every position: d2 (B, L) and each given (B, L) -> (B, L, V), float64.

        Over the world's V symbols; mass that a model puts on special tokens is lost, not renormalised away. Where the
        prefix itself is impossible under q, the row is -inf.
        """
        ...

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        """One d2 (B, L) for each row of the given documents (B, L)."""
        ...


class ExactSynthesizer:
    """p*(d2 | d1) = sum_c P(d2 | c) P(c | d1)."""

    name = EXACT

    def __init__(self, world: World):
        self.world = world

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        return exact.next_token_log_probs(self.world, d2, *given)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        return exact.sample_related(self.world, generator, *given)


class BeliefSynthesizer(ABC):
    """A synthesizer that predicts as the world would from a belief about the concept, right or wrong."""

    def __init__(self, world: World):
        self.world = world

    @abstractmethod
    def belief(self, *given: Tensor) -> Tensor:
        """A belief for each row, as `World.prior_belief` shapes it."""

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        return self.world.predict_tokens(self.belief(*given), d2)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        return self.world.sample_from_belief(self.belief(*given), generator).tokens


class PriorSynthesizer(BeliefSynthesizer):
    """Ignores d1. Its Bayes gap is I(d1; d2), exactly."""

    name = PRIOR

    def belief(self, *given: Tensor) -> Tensor:
        return self.world.prior_belief(len(given[0]))


class MapSynthesizer(BeliefSynthesizer):
    """Commits to the most probable concept of d1 (the plug-in)."""

    name = MAP

    def belief(self, *given: Tensor) -> Tensor:
        return exact.map_beliefs(self.world, self.world.most_probable, *given)


class LabelSwappedSynthesizer(BeliefSynthesizer):
    """The exact posterior with its concepts cyclically shifted: sure of the wrong thing."""

    name = "label-swapped"

    def belief(self, *given: Tensor) -> Tensor:
        return exact.map_beliefs(self.world, self.world.shifted, *given)


class CopyingSynthesizer:
    """With probability ``rate`` writes d1 out again, else draws from exact Bayes.

    q(d2 | d1) = rate [d2 = d1] + (1 - rate) p*(d2 | d1), so its Bayes gap is at most -log(1 - rate), and just below it
    where a document hardly arises twice. Of several conditioning documents each is copied equally often.
    """

    def __init__(self, world: World, rate: float):
        assert 0 < rate < 1, rate
        self.world, self.rate, self.name = world, rate, f"copying {100 * rate:g} %"

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        fresh = exact.next_token_log_probs(self.world, d2, *given)
        log_fresh = fresh.gather(2, d2[..., None]).squeeze(2).cumsum(1)
        copied = torch.stack([d2 == document for document in given], dim=1).cumprod(2)  # (B, M, L): copy alive after t
        start = torch.tensor([1 - self.rate, *[self.rate / len(given)] * len(given)], dtype=torch.float64).log()
        after = torch.cat([log_fresh[:, None], _log(copied)], dim=1) + start[:, None]
        before = torch.cat([start.expand(len(d2), -1)[..., None], after[..., :-1]], dim=2)
        evidence = torch.logsumexp(before, dim=1, keepdim=True)
        before = torch.where(torch.isfinite(evidence), before - evidence, -torch.inf)  # (B, 1 + M, L)
        one_hot = torch.stack([torch.nn.functional.one_hot(d, self.world.V) for d in given], dim=1)  # (B, M, L, V)
        laws = torch.cat([fresh[:, None], _log(one_hot)], dim=1)
        return torch.logsumexp(before[..., None] + laws, dim=1)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        fresh = exact.sample_related(self.world, generator, *given)
        copies = torch.rand(len(fresh), generator=generator, dtype=torch.float64) < self.rate
        which = torch.randint(len(given), (len(fresh),), generator=generator)
        chosen = torch.stack(given)[which, torch.arange(len(fresh))]
        return torch.where(copies[:, None], chosen, fresh)


class TemperedSynthesizer:
    """Another synthesizer at a temperature: each next-token law is q(x)^(1/T), renormalised.

    This is what a sampler's temperature does. It differs from tempering the law of whole documents, whose next-token
    laws would also weigh all continuations.
    """

    def __init__(self, base: Synthesizer, temperature: float):
        assert temperature > 0, temperature
        self.base, self.temperature = base, temperature
        self.name = f"{base.name} T={temperature:g}"

    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        scaled = self.base.next_token_log_probs(d2, *given) / self.temperature
        evidence = torch.logsumexp(scaled, dim=-1, keepdim=True)
        return torch.where(torch.isfinite(evidence), scaled - evidence, -torch.inf)

    def sample(self, generator: torch.Generator, *given: Tensor) -> Tensor:
        return sample_token_by_token(self, given[0].shape[1], generator, *given)


class TransformerSynthesizer:
    """A trained model under the protocol: [bos] d1 [sep] d2; with nothing given, [bos] d2.

    tokenizer: the symbol tokenizer it was trained with; length: tokens of a document to sample.
    """

    def __init__(self, model, tokenizer, name: str = SYNTHESIZER, batch: int = 256):
        self.model, self.tokenizer, self.name, self.batch = model.eval(), tokenizer, name, batch

    @torch.no_grad()
    def next_token_log_probs(self, d2: Tensor, *given: Tensor) -> Tensor:
        device = next(self.model.parameters()).device
        length, parts = d2.shape[1], []
        for rows in torch.arange(len(d2)).split(self.batch):
            inputs = torch.cat([self._prompt([d[rows] for d in given], len(rows)), d2[rows, :-1]], dim=1)
            hidden = self.model.hidden(inputs.to(device))[:, -length:]
            log_probs = torch.log_softmax(self.model.logits(hidden).double(), dim=-1)
            parts.append(log_probs[..., : self.tokenizer.symbols].cpu())
        return torch.cat(parts)

    def _prompt(self, given: Sequence[Tensor], rows: int) -> Tensor:
        parts = [torch.full((rows, 1), self.tokenizer.bos, dtype=torch.int64)]
        for document in given:
            parts += [document, torch.full((rows, 1), self.tokenizer.sep, dtype=torch.int64)]
        return torch.cat(parts, dim=1)

    def sample(self, generator: torch.Generator, *given: Tensor, temperature: float = 1.0) -> Tensor:
        """temperature: of each next token, the same law as that of `TemperedSynthesizer` with the length given."""
        from sbp_bayes.synthesis.sampler import SamplingConfig, sample

        length = given[0].shape[1]
        config = SamplingConfig(temperature=temperature, min_tokens=length, max_tokens=length, batch_size=self.batch)
        prompts = [row.numpy() for row in self._prompt(given, len(given[0]))]
        drawn = sample(self.model, prompts, config, self.tokenizer, generator, f"sample {self.name}")
        return torch.from_numpy(np.stack(drawn.tokens).astype(np.int64))


def sample_token_by_token(synthesizer: Synthesizer, length: int, generator: torch.Generator, *given: Tensor) -> Tensor:
    """Ancestral sampling through ``next_token_log_probs``; (B, length). One pass over the prefix for every token."""
    tokens = torch.zeros(len(given[0]), length, dtype=torch.int64)
    for t in range(length):
        law = synthesizer.next_token_log_probs(tokens[:, : t + 1], *given)[:, t].exp()
        tokens[:, t] = torch.multinomial(law, 1, generator=generator).squeeze(1)
    return tokens


def document_log_probs(synthesizer: Synthesizer, documents: Tensor, *given: Tensor, batch: int = 256) -> Tensor:
    """log q(documents | given): (B, L) -> (B,), float64."""
    parts = []
    for rows in torch.arange(len(documents)).split(batch):
        laws = synthesizer.next_token_log_probs(documents[rows], *[d[rows] for d in given])
        parts.append(laws.gather(2, documents[rows][..., None]).squeeze(2).sum(1))
    return torch.cat(parts)


def wrong_synthesizers(world: World) -> list[Synthesizer]:
    """The wrong ones that every run shows beside the trained one.

    A point of a continuum has no plug-in among finitely many and no label to swap: worlds without `most_probable` and
    `shifted` have neither.
    """
    base = ExactSynthesizer(world)
    return [
        PriorSynthesizer(world),
        *([MapSynthesizer(world)] if hasattr(world, "most_probable") else []),
        TemperedSynthesizer(base, 0.7),
        TemperedSynthesizer(base, 1.3),
        CopyingSynthesizer(world, 0.05),
        *([LabelSwappedSynthesizer(world)] if hasattr(world, "shifted") else []),
    ]


def exact_synthesis(source: dict, d1: list[np.ndarray] | list[str], generator: torch.Generator) -> list:
    """One draw from the exact posterior predictive for each seed document (entry point ``sbp_bayes.synthesizers``).

    source: what `WorldSource.describe` said; d1: B arrays of L symbols -> B int32 arrays of L symbols; of a world that
    writes, B texts -> B texts.
    Raises UserError where the source is no world, so that nothing exact is known.
    """
    from analysis.narration_texts import related_texts
    from analysis.world_source import world_of

    if "world" not in source:
        raise UserError(f"corpus {source.get('label', '?')}: exact synthesis needs a world as source")
    world = world_of(source)
    if isinstance(world, Narration):
        return related_texts(world, d1, generator)
    tokens = torch.from_numpy(np.stack(d1).astype(np.int64))
    return [row.numpy().astype(np.int32) for row in exact.sample_related(world, generator, tokens)]


def _log(indicator: Tensor) -> Tensor:
    """log of zeros and ones, in float64: 0 or -inf."""
    return indicator.double().log()
