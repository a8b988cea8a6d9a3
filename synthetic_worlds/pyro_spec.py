"""Every world as a Pyro model: the specification that exact inference is tested against, and a door to Pyro.

A world's own part is `Process.pyro_concept` and `Process.pyro_document`, one document given its concept; here they are
put together, with Pyro's exact enumeration where concepts are finitely many. Pyro is slow to import and clamps zero
probabilities (its log 0 is about -16), so nothing but tests and experiments with other inference should use it.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from synthetic_worlds.world import ConceptWorld, Process


def pyro_model(world: Process, *documents: Tensor, n: int = 0) -> Callable[[], Tensor]:
    """A Pyro model of rows of related documents: concept ~ prior, then each of ``documents`` (B, L) given it.

    Without documents the model generates one for each of ``n`` rows. Sample sites: ``concept``, ``d0``, ``d1``, ...
    (where a world needs more, with those names as prefix), all inside the plate ``rows``. Returns the concepts.
    """
    import pyro

    def model() -> Tensor:
        with pyro.plate("rows", len(documents[0]) if documents else n):
            concept = world.pyro_concept("concept")
            for i, tokens in enumerate(documents or [None]):
                world.pyro_document(f"d{i}", concept, tokens)
        return concept

    return model


def enumerated_log_posterior(world: ConceptWorld, *documents: Tensor) -> Tensor:
    """(B, C) log p(c | documents) by Pyro's enumeration of every latent variable."""
    from pyro.infer import TraceEnum_ELBO

    rows = len(documents[0])
    if rows == 1:  # Pyro 1.9.2 drops a plate of size one and then misses it
        documents = [document.repeat(2, 1) for document in documents]
    elbo = TraceEnum_ELBO(max_plate_nesting=1)
    marginals = elbo.compute_marginals(pyro_model(world, *documents), _empty_guide)
    return torch.log_softmax(marginals["concept"].logits, -1)[:rows]


def enumerated_log_evidence(world: ConceptWorld, *documents: Tensor) -> Tensor:
    """(B,) log p(documents of a row together), concept and states summed out by Pyro, one row at a time."""
    from pyro.infer import TraceEnum_ELBO

    elbo = TraceEnum_ELBO(max_plate_nesting=1)
    rows = [[document[i : i + 1] for document in documents] for i in range(len(documents[0]))]
    losses = [elbo.loss(pyro_model(world, *row), _empty_guide) for row in rows]
    return -torch.tensor(losses, dtype=torch.float64)


def _empty_guide() -> None:
    """Nothing is left to guess: the model's latent variables are summed out."""
