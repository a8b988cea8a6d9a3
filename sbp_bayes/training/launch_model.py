"""The model of a launch and how it is trained: what its options leave open follows from its size."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.sizes import model_config, size_named, size_of
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator, seed_for
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.configuration import TrainingConfig, shared_rows
from sbp_bayes.training.parallel import Parallel
from sbp_bayes.training.sharding import fill, on_meta, place

if TYPE_CHECKING:
    from sbp_bayes.training.launch import Launch

FRESH = "0.1M"  # the size of a new model, where none is asked for
NO_SIZE = "its own"  # of weights whose shape is none of the sizes


def starting_point(arguments: "Launch", tokenizer: Tokenizer) -> tuple[str, Transformer | None]:
    """The size, and the model of ``arguments.start``, None for a fresh one.

    Raises UserError for an unknown size, weights that can't be read, and weights of another size than --size.
    """
    if arguments.start is None:
        size_named(size := arguments.size or FRESH)
        return size, None
    model = load_model(arguments.start, tokenizer.fingerprint)
    size = size_of(model.config) or NO_SIZE
    if arguments.size not in (None, size):
        theirs = "a shape that is none of the sizes'" if size == NO_SIZE else f"size {size}"
        raise UserError(f"--size {arguments.size}: the weights of --start have {theirs}; leave --size out")
    if size == NO_SIZE and not (arguments.learning_rate and arguments.batch_tokens):
        raise UserError("--start: its shape is none of the sizes', so --learning-rate and --batch-tokens must be given")
    return size, model


def training_config(arguments: "Launch", size: str, processes: int, before: dict[str, Any] | None) -> TrainingConfig:
    """The options, with the size's learning rate and batch where none is given.

    Rows of the size's own batch are rounded so that ``processes`` can share them; a run that was begun (``before``)
    keeps its batch, whatever the number of processes now.
    """
    settings = {f.name: getattr(arguments, f.name) for f in fields(TrainingConfig)}
    if arguments.context < 1 or arguments.accumulation < 1:
        raise UserError("--context, --accumulation: expected positive whole numbers")
    if 0 < arguments.batch_tokens < arguments.context:
        raise UserError(f"--batch-tokens {arguments.batch_tokens}: less than one row of --context {arguments.context}")
    if not arguments.batch_tokens and before is not None:
        settings["batch_tokens"] = before.get("batch_tokens")
    elif not arguments.batch_tokens:
        rows = size_named(size).batch_tokens // arguments.context
        settings["batch_tokens"] = shared_rows(rows, processes * arguments.accumulation) * arguments.context
    settings["learning_rate"] = arguments.learning_rate or size_named(size).learning_rate
    settings["seed"] = seed_for(arguments.seed, "train")
    config = TrainingConfig(**settings)
    config.check_shares(processes)
    return config


def fresh_model(size: str, seed: int, tokenizer: Tokenizer, config: TrainingConfig, together: Parallel) -> Transformer:
    """A new model. A sharded one takes shape on the meta device and gets its weights shard by shard, the very weights
    that a process on its own gives it.
    """
    shape, random = model_config(size, tokenizer.vocabulary_size), generator(seed, "weights")
    if together.mesh is None:
        return Transformer(shape).init(random)
    return fill(place(on_meta(shape), together, config), random, together.device)
