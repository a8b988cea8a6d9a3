"""The stages that train a model: the base model, the synthesizers, and one for each arm."""

import shutil
from pathlib import Path

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.joined import JoinedSequences
from sbp_bayes.documents.packing import DocumentSequences, Mixture, Packed, PairSequences, Sequences
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.files import file_hash, read_json, write_json
from sbp_bayes.graph import RECORD, Stage
from sbp_bayes.ledger import Entry
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.pairing.path import document_path
from sbp_bayes.pairing.split import in_groups, split_pairs
from sbp_bayes.seeds import generator, seed_for
from sbp_bayes.stages.data import Budget, SeedData, budget_of, training_config
from sbp_bayes.training.checkpoint import BEST, FINAL, load_model
from sbp_bayes.training.metrics import METRICS
from sbp_bayes.training.trained import TRAINED
from sbp_bayes.training.trainer import train


def _fresh_model(stage: Stage, tokenizer: Tokenizer) -> Transformer:
    """A new model; every arm of a seed starts from the same weights, so that arms are paired."""
    model = Transformer(model_config(stage.config["model"]["size"], tokenizer.vocabulary_size))
    model.init(generator(stage.config["seed"], "initial weights"))
    return model


def train_base(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """The base model: D alone, for a share of an arm's budget."""
    return _train_on_documents(stage, inputs, out, device, stage.config["base"]["share"], "real", 0.0)


def train_arm(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """A fresh model on one arm's documents, for the whole budget, or for as much as other stages spent."""
    settings = stage.config
    if "grid" in settings:
        return _train_tuned(stage, inputs, out, device)
    budget_share = _compute(inputs) if "repetition" in inputs else 1.0
    share = settings["synthetic_share"]
    return _train_on_documents(stage, inputs, out, device, budget_share, settings["documents"], share)


def _compute(inputs: dict[str, Path]) -> float:
    """FLOPs of the stages called ``spent``, as a multiple of those of arm repetition."""

    def flops(folder: Path) -> float:
        return sum(entry["flops"] for entry in read_json(folder / RECORD)["ledger"])

    spent = sum(flops(folder) for name, folder in inputs.items() if name.startswith("spent "))
    return spent / flops(inputs["repetition"])


def _train_tuned(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Every setting of the grid; the model with the best loss on validation documents becomes the arm's.

    ``grid.json`` keeps every setting's best validation loss; the ledger counts what all of them took.
    """
    settings, entries, tried = stage.config, [], []
    for decay, part in settings["grid"]:
        folder = out / f"weight-decay-{decay}-budget-{part}"
        change = {"weight_decay": decay * settings["training"]["weight_decay"]}
        entries += _train_on_documents(stage, inputs, folder, device, part / 100, settings["documents"], 0.0, **change)
        tried.append({**change, "budget": part / 100, "best_loss": read_json(folder / TRAINED)["best_loss"]})
    best = min(range(len(tried)), key=lambda i: tried[i]["best_loss"])
    decay, part = settings["grid"][best]
    for name in (BEST, FINAL, METRICS, TRAINED):
        shutil.copy(out / f"weight-decay-{decay}-budget-{part}" / name, out / name)
    write_json(out / "grid.json", tried)
    return entries


def _train_on_documents(
    stage: Stage,
    inputs: dict[str, Path],
    out: Path,
    device: str,
    budget_share: float,
    documents: str,
    share: float,
    **changes,
) -> list[Entry]:
    """A fresh model on a split of the corpus, and for ``share`` of the rows on what else the inputs hold."""
    data, seed = SeedData(inputs["corpus"]), stage.config["seed"]
    budget = budget_of(stage.config, data, budget_share)
    others: Sequences | None = None
    if "synthetic" in inputs:
        others = DocumentSequences(Corpus.open(inputs["synthetic"] / "corpus", data.tokenizer), data.tokenizer)
    elif "pairs" in inputs:
        others = _joined(stage, data, inputs["pairs"])
        budget = _widened(budget, int(others.lengths.max()))
    parts = [(data.packed(data.splits[documents], budget.context, seed_for(seed, "pack", documents)), 1.0 - share)]
    if others is not None:
        parts.append((Packed(others, budget.context, seed_for(seed, "pack synthetic")), share))
    parts = [(packed, weight) for packed, weight in parts if weight > 0]
    config = training_config(stage.config, budget, seed_for(seed, "train"), **changes)
    return _train(
        stage, data, Mixture(parts, seed_for(seed, "order")), config, _fresh_model(stage, data.tokenizer), out, device
    )


def _joined(stage: Stage, data: SeedData, pairs: Path) -> JoinedSequences:
    """Related documents of D one after the other: each pair, or all of D along a path from partner to partner."""
    kept = load_pairs(pairs).kept
    groups = list(kept)
    if stage.config["joined"] == "path":
        path, size = document_path(kept, len(data.real)), stage.config["documents_joined"]
        groups = [path[start : start + size] for start in range(0, len(path), size)]
    return JoinedSequences(data.real, groups, data.tokenizer)


def _widened(budget: Budget, longest: int) -> Budget:
    """As many slots in rows that hold ``longest`` targets, up to a part of a step."""
    context = max(budget.context, longest)
    rows = max(1, round(budget.rows * budget.context / context))
    steps = max(1, round(budget.steps * budget.rows * budget.context / (rows * context)))
    return Budget(context, rows, steps)


def tune_synthesizer(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """The base model, or random weights, tuned on pairs, loss on d2 only, stopped early on held-out pairs."""
    data, settings, seed = SeedData(inputs["corpus"]), stage.config["synthesizer"], stage.config["seed"]
    split = split_pairs(load_pairs(inputs["pairs"]).kept, seed_for(seed, "split pairs"), settings["heldout_share"])
    tuning, heldout = (PairSequences(data.real, in_groups(pairs, settings["group"]), data.tokenizer) for pairs in split)
    context = settings["context"] or int(max(tuning.lengths.max(), heldout.lengths.max()))
    arm = budget_of(stage.config, data)
    rows = max(1, round((settings["batch_tokens"] or 2 * arm.rows * arm.context) / context))
    steps = settings["steps"] or max(1, round(settings["share"] * arm.steps))
    config = training_config(
        stage.config,
        Budget(context, rows, steps),
        seed_for(seed, "tune"),
        rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        evaluate_every=max(1, round(steps / settings["evaluations"])),
        patience=settings["patience"],
    )
    if "base" in inputs:
        start = file_hash(inputs["base"] / BEST)
        model = load_model(inputs["base"] / BEST, data.tokenizer.fingerprint)
    else:
        start, model = "", _fresh_model(stage, data.tokenizer)
    mixture = Mixture([(Packed(tuning, context, seed_for(seed, "pack pairs")), 1.0)], seed_for(seed, "order of pairs"))
    return _train(stage, data, mixture, config, model, out, device, Packed(heldout, context, 0), start)


def _train(stage, data, mixture, config, model, out, device, validation=None, start="") -> list[Entry]:
    if validation is None:
        validation = data.packed(data.splits["validation"], config.context, 0)
    tokenizer = data.tokenizer.fingerprint
    trained = train(model, mixture, config, out, validation, stage.name, device, tokenizer, start=start)
    return [Entry(stage.name, "training", trained.tokens, trained.flops)]
