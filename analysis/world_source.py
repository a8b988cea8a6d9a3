"""A world as a source of documents: the corpus plugin ``world`` (entry point group ``sbp_bayes.sources``)."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from analysis import measures
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.sources import SplitSizes, SplitTables
from sbp_bayes.errors import UserError
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.narration import Narration
from synthetic_worlds.world import ConceptWorld, Documents, World

INFORMATION_DOCUMENTS = 4096
DOCUMENTS_PER_CONCEPT = 8  # where independent documents hardly ever or never share their concept


class WorldSource:
    """Splits of documents of one world.

    ``validation`` and ``heldout`` are independent draws, so that standard errors over their documents hold. So are the
    documents of D (``real``) and of the oracle's pool where `documents_per_concept` is 1. Else their concepts are
    independent draws and each has so many documents: every document and every related pair then follows exactly the
    world's law, but documents are fewer independent draws than there are, as in a corpus of several articles an event.

    symbols: V, for the symbol tokenizer of worlds of tokens; narrations come as text.
    """

    pairing_rule = "truth"

    def __init__(self, world: World, label: str, seed: int, documents_per_concept: int | None = None):
        """documents_per_concept: 1 for a `ConceptWorld` unless given, else `DOCUMENTS_PER_CONCEPT`."""
        self.world, self.label, self.seed = world, label, seed
        default = 1 if isinstance(world, ConceptWorld) else DOCUMENTS_PER_CONCEPT
        self.documents_per_concept = default if documents_per_concept is None else documents_per_concept
        self.symbols = world.V

    @classmethod
    def from_options(cls, options: Mapping[str, Any], seed: int) -> "WorldSource":
        """From the table [corpus.world]: ``name``, ``preset``, the world's ``seed`` (else the experiment's),
        ``documents_per_concept``, dials.

        Raises UserError for an unknown world, preset or dial, a value out of range, or a world without tokens.
        """
        options = dict(options)
        name = options.pop("name", None)
        preset = options.pop("preset", None)
        world_seed = options.pop("seed", seed)
        group = options.pop("documents_per_concept", None)
        if not isinstance(name, str):
            raise UserError('corpus.world.name: missing; expected the name of a world, such as "bow"')
        if isinstance(world_seed, bool) or not isinstance(world_seed, int):
            raise UserError(f"corpus.world.seed = {world_seed!r}: expected an integer")
        if group is not None and (type(group) is not int or group < 1):
            raise UserError(f"corpus.world.documents_per_concept = {group!r}: expected a whole number, 1 or more")
        try:
            world = make_world(name, preset=preset, seed=world_seed, **options)
        except (ValueError, TypeError) as error:
            raise UserError(f"corpus.world: {error}") from error
        if not isinstance(world, World):
            raise UserError(f"corpus.world.name = {name!r}: its documents are vectors; sbp run takes worlds of tokens")
        dials = ", ".join(f"{dial}={value}" for dial, value in sorted(options.items()))
        label = name + (f"-{preset}" if preset else "") + (f"({dials})" if dials else "")
        return cls(world, label, seed, group)

    def splits(self, sizes: SplitSizes) -> dict[str, SplitTables]:
        """``real``, ``validation``, ``heldout``; ``oracle``: the real documents and fresh ones of fresh concepts.

        Each split has a stream of its own, so changing the size of one leaves the others as they were.
        """
        group = self.documents_per_concept
        real = self._draw("real", sizes.real, group)
        # Codes of fresh groups go on where those of D end.
        fresh = self._draw("oracle", sizes.oracle - sizes.real, group, first_code=sizes.real)
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
        identity = {"world": self.world.spec(), "documents seed": self.seed}
        group = self.documents_per_concept
        return {**identity, "documents per concept": group} if group > 1 else identity

    def describe(self) -> dict:
        """Label, the world's specification (enough for `world_of`), documents of each concept in D, and the world's
        information in nats with standard errors, as far as it is defined: a continuous concept has no entropy."""
        return {
            "label": self.label,
            "world": self.world.spec(),
            "documents_per_concept": self.documents_per_concept,
            "information": self._information,
        }

    @functools.cached_property
    def _information(self) -> dict:
        n = min(INFORMATION_DOCUMENTS, self.world.figure_pairs)
        found = exact.information(self.world, n, generator("world information", self.seed))
        figures = {
            measures.CONCEPT_ENTROPY: [found.H_c_given_d1, found.H_c_given_d1_se],
            measures.CONCEPT_INFORMATION: [found.I_c_d1, found.I_c_d1_se],
            measures.PAIR_INFORMATION: [found.I_d1_d2, found.I_d1_d2_se],
            measures.LOG_CONCEPTS: [found.log_C, 0.0],
        }
        return {**{name: pair for name, pair in figures.items() if not math.isnan(pair[0])}, "documents": n}

    def _draw(self, split: str, n: int, group: int = 1, first_code: int = 0) -> SplitTables:
        """``n`` documents of ceil(n / group) concepts, which take turns. Group codes start at ``first_code``."""
        stream = generator("world documents", self.seed, split)
        turns = torch.arange(n) % max(1, math.ceil(n / group))
        concepts = self.world.sample_concepts(math.ceil(n / group), stream)
        documents = self.world.sample(n, stream, concepts[turns])
        latents = dict(documents.latents)
        if latents["concept"].is_floating_point():
            # Nothing but the group tells that two documents share a point of a continuum.
            latents = {**latents, "concept": first_code + turns, "concept_point": latents["concept"]}
        ids = pa.array([f"{split}-{i:07d}" for i in range(n)], type=pa.string())
        return SplitTables(pa.table({"doc_id": ids, **self._content(documents)}), _table(latents, documents.log_prob))

    def _content(self, documents: Documents) -> dict[str, pa.Array]:
        """The column ``text`` of a world that writes, else ``tokens``."""
        if isinstance(self.world, Narration):
            return {"text": pa.array(self.world.texts(documents), type=pa.string())}
        return {"tokens": pa.array(list(documents.tokens.to(torch.int32).numpy()), type=pa.list_(pa.int32()))}


def tokens_of(corpus: Corpus) -> torch.Tensor:
    """(N, L) int64: the documents of a world all have one length."""
    return torch.from_numpy(corpus.tokens[:].astype("int64")).view(len(corpus), -1)


def world_of(description: Mapping[str, Any]) -> World:
    """Rebuild the world from what `WorldSource.describe` said.

    Raises UserError where the world's code has changed since, so that the same words no longer mean the same law.
    """
    spec = description["world"]
    world = make_world(spec["world"], seed=spec["seed"], **spec["dials"])
    if world.spec() != spec:
        raise UserError(f"{description['label']}: made by another version of the world {spec['world']}; run it again")
    return world


def _table(latents: Mapping[str, torch.Tensor], log_prob: torch.Tensor) -> pa.Table:
    columns = {"log_prob": pa.array(log_prob.numpy())}
    for name, values in latents.items():
        rows = values.numpy()
        # The type is named, so that no documents have the same schema as some.
        kind = pa.from_numpy_dtype(rows.dtype)
        columns[name] = pa.array(rows, kind) if rows.ndim == 1 else pa.array(list(rows), pa.list_(kind))
    return pa.table(columns)
