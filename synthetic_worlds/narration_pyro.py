"""The narration world as Pyro sample sites: the plain definition, one sentence after the other."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from synthetic_worlds.narration import Narration


def pyro_document(world: "Narration", name: str, concept: Tensor, tokens: Tensor | None) -> None:
    """Sites ``{name}_token0``, ... of one document a row; ``concept`` is (B,), or (C, 1) where Pyro enumerates it."""
    import pyro
    import pyro.distributions as dist

    truth = torch.nn.functional.one_hot(world.attributes_of(concept.flatten()), world.K).double()
    report = ((1 - world.misreport) * truth + world.misreport / world.K).view(*concept.shape, world.A, world.K)
    rows = concept.shape[-1] if tokens is None else len(tokens)
    facts, asides = world.A * world.K * world.templates, world.V - world.A * world.K * world.templates
    attribute_free = torch.ones(rows, world.A, dtype=torch.float64)
    aside_free = torch.ones(rows, asides, dtype=torch.float64)
    for t in range(world.L):
        each_attribute = (1 - world.asides) * attribute_free / attribute_free.sum(1, keepdim=True)
        each_fact = (each_attribute[..., None] * report / world.templates)[..., None]
        each_fact = each_fact.expand(*each_fact.shape[:-1], world.templates).flatten(-3)
        each_aside = (world.asides * aside_free / aside_free.sum(1, keepdim=True)).expand(*each_fact.shape[:-1], -1)
        law = dist.Categorical(torch.cat([each_fact, each_aside], -1))
        token = pyro.sample(f"{name}_token{t}", law, obs=None if tokens is None else tokens[:, t])
        for row, symbol in enumerate(token.tolist()):
            if symbol < facts:
                attribute_free[row, symbol // (world.K * world.templates)] = 0
            else:
                aside_free[row, symbol - facts] = 0
