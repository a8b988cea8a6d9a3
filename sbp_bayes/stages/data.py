"""What the stages of one seed share: its corpus, and the budget that every arm gets."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.model.sizes import size_named
from sbp_bayes.training.trainer import TrainingConfig


class SeedData:
    """A corpus stage's folder: its splits and tokenizer, opened once."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.tokenizer = load_tokenizer(folder / "tokenizer")
        self.splits = {name: Corpus.open(folder / name, self.tokenizer) for name in SPLITS}
        self.real = self.splits["real"]
        self.longest = int(max(corpus.lengths.max() for corpus in self.splits.values()))

    def packed(self, corpus: Corpus, context: int, seed: int) -> Packed:
        return Packed(DocumentSequences(corpus, self.tokenizer), context, seed)


@dataclass(frozen=True)
class Budget:
    """context: slots of a row; rows: rows of a batch; steps: batches."""

    context: int
    rows: int
    steps: int


def budget_of(settings: dict, data: SeedData, share: float = 1.0) -> Budget:
    """``share`` of an arm's budget, counted in passes over D; the same for every arm of a seed."""
    training = settings["training"]
    context = training["context"] or data.longest + 1
    rows = max(1, round((training["batch_tokens"] or size_named(settings["model"]["size"]).batch_tokens) / context))
    real = data.packed(data.real, context, 0)
    return Budget(context, rows, max(1, round(share * training["epochs"] * len(real) / rows)))


def training_config(config: dict, budget: Budget, seed: int, rate: float = 1.0, **changes) -> TrainingConfig:
    """The trainer's config from an experiment's [training] table, with what a stage sets itself.

    rate: the learning rate, as a multiple of the table's, or of the size's own where the table has none.
    """
    settings = config["training"]
    values = {
        "steps": budget.steps,
        "batch_tokens": budget.rows * budget.context,
        "context": budget.context,
        "learning_rate": rate * (settings["learning_rate"] or size_named(config["model"]["size"]).learning_rate),
        "evaluate_every": max(1, round(budget.steps / settings["evaluations"])),
        "seed": seed,
    }
    shared = {f.name for f in dataclasses.fields(TrainingConfig)} & settings.keys()
    return TrainingConfig(**{**{name: settings[name] for name in shared}, **values, **changes})
