"""A world as a source of documents: the corpus plugin ``world`` (entry point group ``sbp_bayes.sources``)."""

import functools
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from analysis import measures
from sbp_bayes.documents.sources import SplitSizes, SplitTables
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.world import ConceptWorld, Documents

INFORMATION_DOCUMENTS = 4096


class WorldSource:
    """Splits of independent documents of one world.

    symbols: V, for the symbol tokenizer; document_length: L tokens, the same for every document.
    """

    pairing_rule = "truth"

    def __init__(self, world: ConceptWorld, label: str, seed: int):
        self.world, self.label, self.seed = world, label, seed
        self.symbols, self.document_length = world.V, world.L

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "WorldSource":
        """From the table [corpus.world]: ``name``, ``preset``, the world's ``seed`` (else the experiment's), dials.

        Raises UserError for an unknown world, preset or dial, a dial out of range, or a world without finitely many
        concepts.
        """
        options = dict(options)
        name = options.pop("name", None)
        preset = options.pop("preset", None)
        world_seed = options.pop("seed", seed)
        if not isinstance(name, str):
            raise UserError('corpus.world.name: missing; expected the name of a world, such as "bow"')
        if isinstance(world_seed, bool) or not isinstance(world_seed, int):
            raise UserError(f"corpus.world.seed = {world_seed!r}: expected an integer")
        try:
            world = make_world(name, preset=preset, seed=world_seed, **options)
        except (ValueError, TypeError) as error:
            raise UserError(f"corpus.world: {error}") from error
        if not isinstance(world, ConceptWorld):
            # Concepts drawn from a continuum never agree, so independent documents are never related.
            raise UserError(f"corpus.world.name = {name!r}: expected a world of tokens with finitely many concepts")
        dials = ", ".join(f"{dial}={value}" for dial, value in sorted(options.items()))
        label = name + (f"-{preset}" if preset else "") + (f"({dials})" if dials else "")
        return cls(world, label, seed)

    def splits(self, sizes: SplitSizes) -> dict[str, SplitTables]:
        """``real``, ``validation``, ``heldout``: independent draws; ``oracle``: the real documents and fresh ones.

        Each split has a stream of its own, so changing the size of one leaves the others as they were.
        """
        real, fresh = self._draw("real", sizes.real), self._draw("oracle", sizes.oracle - sizes.real)
        return {
            "real": real,
            "validation": self._draw("validation", sizes.validation),
            "heldout": self._draw("heldout", sizes.heldout),
            "oracle": SplitTables(
                pa.concat_tables([real.documents, fresh.documents]), pa.concat_tables([real.latents, fresh.latents])
            ),
        }

    def identity(self) -> dict:
        """What the documents are a function of, known without drawing any."""
        return {"world": self.world.spec(), "documents seed": self.seed}

    def describe(self) -> dict:
        """Label, the world's specification (enough for `world_of`) and its information in nats with standard errors."""
        return {"label": self.label, "world": self.world.spec(), "information": self._information}

    @functools.cached_property
    def _information(self) -> dict:
        found = exact.information(self.world, INFORMATION_DOCUMENTS, generator("world information", self.seed))
        return {
            measures.CONCEPT_ENTROPY: [found.H_c_given_d1, found.H_c_given_d1_se],
            measures.CONCEPT_INFORMATION: [found.I_c_d1, found.I_c_d1_se],
            measures.PAIR_INFORMATION: [found.I_d1_d2, found.I_d1_d2_se],
            measures.LOG_CONCEPTS: [found.log_C, 0.0],
            "documents": INFORMATION_DOCUMENTS,
        }

    def _draw(self, split: str, n: int) -> SplitTables:
        documents = self.world.sample(n, generator("world documents", self.seed, split))
        ids = pa.array([f"{split}-{i:07d}" for i in range(n)], type=pa.string())
        tokens = pa.array(list(documents.tokens.to(torch.int32).numpy()), type=pa.list_(pa.int32()))
        return SplitTables(pa.table({"doc_id": ids, "tokens": tokens}), _latents(documents))


def world_of(description: Mapping[str, Any]) -> ConceptWorld:
    """Rebuild the world from what `WorldSource.describe` said.

    Raises UserError where the world's code has changed since, so that the same words no longer mean the same law.
    """
    spec = description["world"]
    world = make_world(spec["world"], seed=spec["seed"], **spec["dials"])
    if world.spec() != spec:
        raise UserError(f"{description['label']}: made by another version of the world {spec['world']}; run it again")
    return world


def _latents(documents: Documents) -> pa.Table:
    columns = {"log_prob": pa.array(documents.log_prob.numpy())}
    for name, values in documents.latents.items():
        rows = values.numpy()
        # The type is named, so that no documents have the same schema as some.
        kind = pa.from_numpy_dtype(rows.dtype)
        columns[name] = pa.array(rows, kind) if rows.ndim == 1 else pa.array(list(rows), pa.list_(kind))
    return pa.table(columns)
