"""Embeddings that only a known world can give (entry point group ``sbp_bayes.embedders``)."""

import numpy as np

from analysis.world_source import tokens_of, world_of
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.errors import UserError
from synthetic_worlds import exact
from synthetic_worlds.world import ConceptWorld


def concept_posterior(source: dict, corpus: Corpus) -> np.ndarray:
    """The exact posterior over concepts of each document: (N, C) float32.

    What an embedder would be that reads the concept and nothing else. source: what `WorldSource.describe` said.
    Raises UserError where the source is no world of finitely many concepts.
    """
    world = world_of(source) if "world" in source else None
    if not isinstance(world, ConceptWorld):
        raise UserError(
            f"pairing.embedder = concept-posterior: {source.get('label', 'the corpus')} has no finite set of concepts"
        )
    tokens = tokens_of(corpus)
    return exact.concept_log_posterior(world, tokens).exp().numpy().astype(np.float32)
