"""The stages that train a model: the base model, the synthesizers, and one for each arm."""

from pathlib import Path

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.packing import Mixture, Packed, PairSequences
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.files import file_hash
from sbp_bayes.graph import Stage
from sbp_bayes.ledger import Entry
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.pairing.split import in_groups, split_pairs
from sbp_bayes.seeds import generator, seed_for
from sbp_bayes.stages.data import Budget, SeedData, budget_of, training_config
from sbp_bayes.training.checkpoint import BEST, load_model
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
    """A fresh model on one arm's documents, for the whole budget."""
    share = stage.config["synthetic_share"]
    return _train_on_documents(stage, inputs, out, device, 1.0, stage.config["documents"], share)


def _train_on_documents(
    stage: Stage, inputs: dict[str, Path], out: Path, device: str, budget_share: float, documents: str, share: float
) -> list[Entry]:
    data, seed = SeedData(inputs["corpus"]), stage.config["seed"]
    budget = budget_of(stage.config, data, budget_share)
    parts = [(data.packed(data.splits[documents], budget.context, seed_for(seed, "pack", documents)), 1.0 - share)]
    if "synthetic" in inputs:
        synthetic = Corpus.open(inputs["synthetic"] / "corpus", data.tokenizer)
        parts.append((data.packed(synthetic, budget.context, seed_for(seed, "pack synthetic")), share))
    parts = [(packed, weight) for packed, weight in parts if weight > 0]
    config = training_config(stage.config, budget, seed_for(seed, "train"))
    return _train(
        stage, data, Mixture(parts, seed_for(seed, "order")), config, _fresh_model(stage, data.tokenizer), out, device
    )


def tune_synthesizer(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """The base model tuned on pairs, loss on d2 only, stopped early on held-out pairs."""
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
    model = load_model(inputs["base"] / BEST, data.tokenizer.fingerprint)
    mixture = Mixture([(Packed(tuning, context, seed_for(seed, "pack pairs")), 1.0)], seed_for(seed, "order of pairs"))
    return _train(
        stage, data, mixture, config, model, out, device, Packed(heldout, context, 0), file_hash(inputs["base"] / BEST)
    )


def _train(stage, data, mixture, config, model, out, device, validation=None, start="") -> list[Entry]:
    if validation is None:
        validation = data.packed(data.splits["validation"], config.context, 0)
    tokenizer = data.tokenizer.fingerprint
    trained = train(model, mixture, config, out, validation, stage.name, device, tokenizer, start=start)
    return [Entry(stage.name, "training", trained.tokens, trained.flops)]
