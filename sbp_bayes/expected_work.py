"""What a stage is expected to do, from its settings and the size of its corpus: tokens, FLOPs, bytes.

The formulas need to be right in proportion only: `sbp_bayes.estimate` scales them by what finished stages took.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json
from sbp_bayes.graph import RECORD
from sbp_bayes.ledger import forward_flops
from sbp_bayes.model.sizes import model_config, size_named

TRAINING = ("base", "synthesizer", "arm")
OVERHEAD = 30_000  # matrix parameters that take as long as a step's fixed cost (fitted at 0.03M to 1M)
EXACT_SEARCH = 50_000  # documents at which searching takes as long as everything else a document needs
LENGTHS = {"world": 16.0, "text": 60.0}  # tokens of a document where no finished corpus tells
SYMBOLS = 64  # of a world, likewise


@dataclass(frozen=True)
class CorpusShape:
    """documents: of every split; length: mean tokens of a document of D; vocabulary: token ids, specials included;
    at_most: the documents are those asked for, of which ``corpus.fit`` may find fewer."""

    documents: dict[str, int]
    length: float
    vocabulary: int
    at_most: bool = False


@dataclass(frozen=True)
class Work:
    """tokens through a model, FLOPs, bytes left on disk, and effort: what the time is proportional to."""

    tokens: float
    flops: float
    bytes: float
    effort: float

    @property
    def measures(self) -> tuple[float, float, float, float]:
        return self.tokens, self.flops, self.bytes, self.effort


def corpus_shape(settings: dict, folder: Path | None) -> CorpusShape:
    """The shape of the corpus that a corpus stage with these settings writes; lengths and vocabulary are those of the
    finished corpus in ``folder``, its own or another of the same source, where there is one, and with the same settings
    but for the seed so are the counts."""
    asked = settings["corpus"]
    documents = {name: asked[name] for name in SPLITS}
    if not settings.get("oracle_read", True):
        documents["oracle"] = asked["real"]
    kind = "world" if asked["source"] == "world" else "text"
    fit = asked.get("fit", False)  # a record may be older than the key
    if folder is not None:
        with suppress(UserError):
            found = read_json(folder / "real" / "corpus.json")
            counted = {**read_json(folder / RECORD)["config"], "seed": 0} == {**settings, "seed": 0}
            if counted:
                documents = {name: read_json(folder / name / "corpus.json")["documents"] for name in SPLITS}
            length, vocabulary = found["tokens"] / found["documents"], found["tokenizer"]["symbols"] + 3
            return CorpusShape(documents, length, vocabulary, fit and not counted)
    vocabulary = settings["tokenizer"]["vocabulary"] if kind == "text" else SYMBOLS
    return CorpusShape(documents, LENGTHS[kind], vocabulary + 3, fit)


def expected_work(kind: str, settings: dict, corpus: CorpusShape) -> Work:
    """What a stage of ``kind`` with these settings (a `Stage.config`) does on a corpus of that shape."""
    real, length = corpus.documents["real"], corpus.length
    if kind == "corpus":
        tokens = sum(n for name, n in corpus.documents.items() if name != "real") * length
        return Work(0, 0, 4 * tokens, tokens)
    if kind in ("pairs", "embeddings"):
        # TF-IDF and sentence models cost by the document, the search among all by pairs of documents.
        return Work(0, 0, 100 * real, real * (1 + real / EXACT_SEARCH))
    if kind == "evaluation":
        return _evaluation(settings["experiment"], corpus)
    size = settings["model"]["size"]
    budget = settings["training"]["epochs"] * real * (length + 1)
    if kind in TRAINING:
        tokens = budget * _share(kind, settings, budget)
        context = length if kind == "synthesizer" else length / 2
        forward = _forward(size, corpus.vocabulary, tokens, context)
        return Work(tokens, 3 * forward, 8 * _parameters(size, corpus.vocabulary)[0], 3 * _effort(size, corpus, tokens))
    each = settings["synthesis"]["per_document"] or math.ceil(settings["share"] * settings["training"]["epochs"])
    tokens = each * real * (2 * length + 2)
    if kind == "plugin-synthesis":
        return Work(0, 0, 2 * tokens, tokens)
    return Work(tokens, _forward(size, corpus.vocabulary, tokens, length), 2 * tokens, _effort(size, corpus, tokens))


def _share(kind: str, settings: dict, budget: float) -> float:
    """A training stage's tokens as a share of an arm's."""
    if kind == "base":
        return settings["base"]["share"]
    if kind == "arm":
        return sum(part / 100 for _, part in settings.get("grid", [(1, 100)]))
    tuning = settings["synthesizer"]
    own = settings["training"]["batch_tokens"] or size_named(settings["model"]["size"]).batch_tokens
    batch = tuning["batch_tokens"] or 2 * own
    return tuning["steps"] * batch / budget if tuning["steps"] else tuning["share"] * batch / own


def _evaluation(experiment: dict, corpus: CorpusShape) -> Work:
    """Held-out documents through both checkpoints of every arm, and the measures of the synthesizer."""
    arms, size = len(experiment["arms"]["names"]), experiment["model"]["size"]
    measured = experiment["evaluation"]["documents"] * (10 if experiment["evaluation"]["predictions"] else 1)
    documents = 2 * arms * corpus.documents["heldout"] + 4 * measured
    return Work(0, 0, 60_000, _effort(size, corpus, documents * corpus.length))


def _effort(size: str, corpus: CorpusShape, tokens: float) -> float:
    """What time goes by: the matrices' multiplications, and what a token costs however small the model is."""
    return tokens * (_parameters(size, corpus.vocabulary)[0] + OVERHEAD)


def _forward(size: str, vocabulary: int, tokens: float, context: float) -> float:
    parameters, layers, width = _parameters(size, vocabulary)
    return forward_flops(parameters, layers, width, tokens, context)


@cache
def _parameters(size: str, vocabulary: int) -> tuple[int, int, int]:
    """Matrix parameters, layers and attention width of a model, whose weights are not made."""
    import torch

    from sbp_bayes.model.transformer import Transformer

    with torch.device("meta"):
        model = Transformer(model_config(size, vocabulary))
    return model.matrix_parameters, model.config.layers, model.attention_width
