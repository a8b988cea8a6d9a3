"""Train one model on a tokenized corpus, on one process or, by torchrun, on many.

``torchrun --nproc-per-node 2 -m sbp_bayes.training.launch --corpus FOLDER --context 64 --steps 200 --out OUT``

The same command goes on with a run that was stopped or killed, on the same number of processes or another.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from sbp_bayes.errors import UserError
from sbp_bayes.training.interruption import Interrupted

if TYPE_CHECKING:
    from sbp_bayes.training.parallel import Parallel
    from sbp_bayes.training.trained import Trained

OTHERS_WAIT_SECONDS = 3.0  # for the first process to say what is wrong, so that it is said once


@dataclass(frozen=True)
class Launch:
    """Train one model on a tokenized corpus: on one process, or on many by torchrun.

    A new model of --size, or that of --start, which keeps its shape. --pairs tunes a synthesizer: loss on d2 alone.
    SIGTERM, as of a scheduler that wants the machine back, saves a state and ends; the same command goes on.
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
    size: str | None = None
    """0.03M, 0.1M, 1M, 10M, 125M, 350M, 1B, 3B or 6B (sbp_bayes.model.sizes); by default that of --start, or 0.1M."""
    start: Path | None = None
    """Weights to start from (.safetensors), which keep their shape; by default fresh ones, by --seed."""
    branch: Path | None = None
    """Folder of a run with --keep-stable, from whose state before the fall this one goes on, with another budget."""
    tokenizer: Path | None = None
    """Folder of the tokenizer; by default the one beside the corpus."""
    validation: Path | None = None
    """Folder of held-out documents; none: no held-out loss."""
    pairs: Path | None = None
    """Folder of pairs of the corpus's documents, to tune a synthesizer on; an eighth of them is held out."""
    heldout_pairs: int = 4096
    """Held-out pairs that the held-out loss is measured on, at most; 0: all."""
    long: Literal["refuse", "drop", "split"] = "refuse"
    """What becomes of documents longer than the context; split: parts of it. Pairs can't be split."""
    batch_tokens: int = 0
    """Tokens of a step on all processes together, padding counted; 0: the size's own, to whole shares."""
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
    keep_stable: bool = False
    """Keep wsd's state before the fall, for --branch."""
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
    """torch.compile, of the whole loss in a process on its own, else of each block; auto: where a run is long."""
    nonfinite: Literal["stop", "skip"] = "stop"
    """What a loss or gradient that is not finite does: stop the run, or skip the batch."""
    evaluate_every: int = 0
    """Steps between evaluations, each a line of metrics.jsonl; 0: about twenty a run."""
    log_every: int = 0
    """Steps between further lines of metrics.jsonl, without an evaluation; 0: none."""
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
    """Train as the arguments say.

    Raises UserError for bad input, a full disk, or a loss that is not finite, and Interrupted after a SIGTERM.
    """
    from sbp_bayes.training import parallel

    together = _processes(arguments)
    trained = _train(arguments, together)
    if together.first:
        held_out = "" if trained.best_loss is None else f", held out {trained.best_loss:.4f} at best"
        loss = "none" if trained.final_loss is None else f"{trained.final_loss:.4f}"
        print(f"{arguments.out}: {trained.steps} steps, loss {loss} nats a target{held_out}")
    parallel.leave()


def _train(arguments: Launch, together: "Parallel") -> "Trained":
    """What is cheap to check comes first: packing and placing a large corpus and model takes minutes."""
    from sbp_bayes.documents.tokenizer import load_tokenizer
    from sbp_bayes.training import launch_record
    from sbp_bayes.training.interruption import sigterm
    from sbp_bayes.training.launch_data import launch_data, tell
    from sbp_bayes.training.launch_model import fresh_model, starting_point, training_config
    from sbp_bayes.training.trainer import train

    # Not Path.resolve: beside a link to a corpus lies the tokenizer, rather than where the link leads.
    beside = Path(os.path.abspath(arguments.corpus)).parent / "tokenizer"
    tokenizer = load_tokenizer(arguments.tokenizer or beside)
    size, model = starting_point(arguments, tokenizer)
    before = launch_record.begun(arguments.out)
    config = training_config(arguments, size, together.size, before)
    data = launch_data(arguments, tokenizer)
    contents = {**data.contents(), "tokenizer": tokenizer.fingerprint, **_origin(arguments)}
    long = arguments.long if data.lines else "refuse"
    record = {**launch_record.record_of(config, size, arguments.seed, contents), "long": long}
    if before is not None:
        launch_record.check(arguments.out, before, record)
        if (trained := launch_record.finished(arguments.out)) is not None:
            return trained
    if together.first:
        tell(data)
    mixture, validation = data.packed(arguments.context, arguments.seed)
    model = model or fresh_model(size, arguments.seed, tokenizer, config, together)
    together.on_first(lambda: launch_record.write(arguments.out, record, tokenizer))
    with sigterm() as came:
        return train(
            model,
            mixture,
            config,
            arguments.out,
            validation,
            name=size,
            tokenizer_fingerprint=tokenizer.fingerprint,
            parallel=together,
            start=contents["start"] or contents["branch"],
            branch=arguments.branch,
            stop=came,
        )


def _origin(arguments: Launch) -> dict[str, str]:
    """Names the weights that the run starts from, or the run that it branches from; empty where there are none."""
    from sbp_bayes.files import file_hash
    from sbp_bayes.training.launch_record import RECORD

    if arguments.branch is None:
        return {"start": "" if arguments.start is None else file_hash(arguments.start), "branch": ""}
    if arguments.start is not None:
        raise UserError("--start: --branch has its own weights; leave one of the two out")
    if not (arguments.branch / RECORD).is_file():
        raise UserError(f"--branch {arguments.branch}: no launch there ({RECORD} is missing)")
    return {"start": "", "branch": file_hash(arguments.branch / RECORD)}


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


def main(arguments: list[str] | None = None) -> int:
    """Run `launch`; bad input is one line on standard error, said by one process, and exit code 2; SIGTERM: 143."""
    parsed = tyro.cli(Launch, prog="sbp_bayes.training.launch", args=arguments)
    try:
        launch(parsed)
    except UserError as error:
        if os.environ.get("RANK", "0") != "0":
            time.sleep(OTHERS_WAIT_SECONDS)
        print(f"sbp_bayes.training.launch: {error}", file=sys.stderr, flush=True)
        return 2
    except Interrupted as end:
        if os.environ.get("RANK", "0") == "0":
            print(f"sbp_bayes.training.launch: {end}", file=sys.stderr, flush=True)
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Python's own end waits for nothing of PyTorch's: a gloo thread that lets go of a tensor meanwhile asks for the
    # interpreter's lock, and the process aborts (PyTorch 2.13, AsyncAllgatherWork).
    os._exit(code)
