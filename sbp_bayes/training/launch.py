"""Train one model on a tokenized corpus, on one process or, by torchrun, on many.

``torchrun --nproc-per-node 2 -m sbp_bayes.training.launch --corpus FOLDER --context 64 --steps 200 --out OUT``

The same command goes on with a run that was stopped or killed, on the same number of processes or another.
"""

import os
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    from sbp_bayes.documents.packing import Mixture, Packed
    from sbp_bayes.documents.tokenizer import Tokenizer
    from sbp_bayes.model.transformer import Transformer
    from sbp_bayes.training.configuration import TrainingConfig
    from sbp_bayes.training.parallel import Parallel

HELD_OUT_PAIRS = 0.125  # share of the pairs that the held-out loss is measured on
OTHERS_WAIT_SECONDS = 3.0  # for the first process to say what is wrong, so that it is said once


@dataclass(frozen=True)
class Launch:
    """Train one model on a tokenized corpus: on one process, or on many by torchrun.

    A new model of --size, or that of --start, which keeps its shape. --pairs tunes a synthesizer: loss on d2 alone.
    """

    corpus: Path
    """Folder of the documents: a split of a corpus stage, runs/stages/corpus-.../real."""
    out: Path
    """Folder for metrics, checkpoints and weights; a run that was begun there goes on."""
    context: int
    """Tokens of a row, several documents packed; pairs must fit in it too."""
    steps: int | None = None
    """Budget in steps; or else tokens."""
    tokens: int | None = None
    """Budget in tokens, padding counted."""
    size: str = "0.1M"
    """0.1M, 1M, 10M, 125M, 350M, 1B, 3B or 6B (sbp_bayes.model.sizes)."""
    start: Path | None = None
    """Weights to start from (.safetensors), which keep their shape; by default fresh ones, by --seed."""
    tokenizer: Path | None = None
    """Folder of the tokenizer; by default the one beside the corpus."""
    validation: Path | None = None
    """Folder of held-out documents; none: no held-out loss."""
    pairs: Path | None = None
    """Folder of pairs of the corpus's documents, to tune a synthesizer on; an eighth of them is held out."""
    batch_tokens: int = 0
    """Tokens of a step on all processes together, padding counted; 0: the size's own."""
    learning_rate: float = 0.0
    """Peak; 0: the size's own."""
    warmup: float = 0.05
    """Share of the steps."""
    schedule: Literal["cosine", "constant", "wsd"] = "cosine"
    """Learning rate after warm-up."""
    minimum_lr: float = 0.1
    """Share of the peak at which cosine and wsd end."""
    decay: float = 0.2
    """Share of the steps over which wsd falls."""
    optimiser: Literal["adamw", "muon", "adamw-bf16"] = "adamw"
    """adamw-bf16 with --precision bfloat16 also keeps the weights in bfloat16."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's."""
    weight_decay: float = 0.1
    """On matrices."""
    clip: float = 1.0
    """Largest gradient norm; 0: none."""
    accumulation: int = 1
    """Parts in which each process computes its share of a batch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products; bfloat16 keeps float32 weights."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile, block by block."""
    nonfinite: Literal["stop", "skip"] = "stop"
    """What a loss or gradient that is not finite does: stop the run, or skip the batch."""
    evaluate_every: int = 0
    """Steps between lines of metrics.jsonl; 0: about twenty lines a run."""
    patience: int = 0
    """Evaluations without a better one before training stops; 0: never."""
    checkpoint_seconds: float = 600.0
    """Time between checkpoints."""
    checkpoint_every: int = 0
    """Steps between checkpoints; 0: time alone."""
    checkpoints_kept: int = 2
    """The newest checkpoints that stay on disk."""
    track: Literal["none", "tensorboard"] = "none"
    """Where metrics go besides metrics.jsonl."""
    replicas: int = 1
    """Copies of the model (HSDP); 1: its shards lie on all processes (FSDP)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""
    seed: int = 0
    """Of the fresh weights, the packing and the order of the data."""


def launch(arguments: Launch) -> None:
    """Train as the arguments say. Raises UserError for bad input, a full disk, or a loss that is not finite."""
    from sbp_bayes.documents.tokenizer import load_tokenizer
    from sbp_bayes.files import file_hash
    from sbp_bayes.training import parallel
    from sbp_bayes.training.trainer import train

    config = _training_config(arguments)
    # Not Path.resolve: beside a link to a corpus lies the tokenizer, rather than where the link leads.
    beside = Path(os.path.abspath(arguments.corpus)).parent / "tokenizer"
    tokenizer = load_tokenizer(arguments.tokenizer or beside)
    mixture, validation = _data(arguments, tokenizer)
    together = _processes(arguments)
    model = _starting_model(arguments, tokenizer, config, together)
    trained = train(
        model,
        mixture,
        config,
        arguments.out,
        validation,
        name=arguments.size,
        tokenizer_fingerprint=tokenizer.fingerprint,
        parallel=together,
        start="" if arguments.start is None else file_hash(arguments.start),
    )
    if together.first:
        held_out = "" if validation is None else f", held out {trained.best_loss:.4f} at best"
        loss = "none" if trained.final_loss is None else f"{trained.final_loss:.4f}"
        print(f"{arguments.out}: {trained.steps} steps, loss {loss} nats a target{held_out}")
    parallel.leave()


def _training_config(arguments: Launch) -> "TrainingConfig":
    from sbp_bayes.model.sizes import size_named
    from sbp_bayes.seeds import seed_for
    from sbp_bayes.training.configuration import TrainingConfig

    size = size_named(arguments.size)
    settings = {f.name: getattr(arguments, f.name) for f in fields(TrainingConfig)}
    settings["batch_tokens"] = arguments.batch_tokens or size.batch_tokens
    settings["learning_rate"] = arguments.learning_rate or size.learning_rate
    settings["seed"] = seed_for(arguments.seed, "train")
    return TrainingConfig(**settings)


def _data(arguments: Launch, tokenizer: "Tokenizer") -> "tuple[Mixture, Packed | None]":
    """What is trained on and what the held-out loss is measured on: documents of the corpus, or pairs of them."""
    from sbp_bayes.documents.corpus import Corpus
    from sbp_bayes.documents.packing import DocumentSequences, Mixture, Packed, PairSequences
    from sbp_bayes.pairing.pairs import load_pairs
    from sbp_bayes.pairing.split import split_pairs
    from sbp_bayes.seeds import seed_for

    corpus, held_out = Corpus.open(arguments.corpus, tokenizer), None
    if arguments.pairs is not None:
        if arguments.validation is not None:
            raise UserError("--validation: pairs are held out of --pairs themselves; leave one of the two out")
        seed = seed_for(arguments.seed, "split pairs")
        split = split_pairs(load_pairs(arguments.pairs).kept, seed, HELD_OUT_PAIRS)
        sequences, held_out = (PairSequences(corpus, pairs, tokenizer) for pairs in split)
    else:
        sequences = DocumentSequences(corpus, tokenizer)
        if arguments.validation is not None:
            held_out = DocumentSequences(Corpus.open(arguments.validation, tokenizer), tokenizer)
    packed = Packed(sequences, arguments.context, seed_for(arguments.seed, "pack"))
    validation = None if held_out is None else Packed(held_out, arguments.context, 0)
    return Mixture([(packed, 1.0)], seed_for(arguments.seed, "order")), validation


def _processes(arguments: Launch) -> "Parallel":
    """This process and those it trains with; only the first reports progress."""
    import torch

    from sbp_bayes.progress import send_reports_to
    from sbp_bayes.training import parallel

    if parallel.launched():
        together = parallel.start(arguments.device, arguments.replicas)
        if not together.first:
            send_reports_to(lambda report: None)
        return together
    if arguments.replicas != 1:
        raise UserError(f"--replicas {arguments.replicas}: takes several processes, started by torchrun")
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return parallel.alone(device, sharded=arguments.precision == "bfloat16")


def _starting_model(
    arguments: Launch, tokenizer: "Tokenizer", config: "TrainingConfig", together: "Parallel"
) -> "Transformer":
    """The model before its first step: that of ``arguments.start``, or a new one.

    A new sharded model takes shape on the meta device and gets its weights shard by shard, the very weights that a
    process on its own gives it.
    """
    from sbp_bayes.model.sizes import model_config
    from sbp_bayes.model.transformer import Transformer
    from sbp_bayes.seeds import generator
    from sbp_bayes.training.checkpoint import load_model
    from sbp_bayes.training.sharding import fill, on_meta, place

    if arguments.start is not None:
        return load_model(arguments.start, tokenizer.fingerprint)
    shape, random = model_config(arguments.size, tokenizer.vocabulary_size), generator(arguments.seed, "weights")
    if together.mesh is None:
        return Transformer(shape).init(random)
    return fill(place(on_meta(shape), together, config), random, together.device)


def main(arguments: list[str] | None = None) -> int:
    """Run `launch`; bad input is one line on standard error, said by one process, and exit code 2."""
    parsed = tyro.cli(Launch, prog="sbp_bayes.training.launch", args=arguments)
    try:
        launch(parsed)
    except UserError as error:
        if os.environ.get("RANK", "0") != "0":
            time.sleep(OTHERS_WAIT_SECONDS)
        print(f"sbp_bayes.training.launch: {error}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
