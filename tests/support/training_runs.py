"""Small training runs that a test starts in processes of their own (`processes`)."""

import itertools
import json
import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sbp_bayes.documents.packing import Batch, Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.progress import send_reports_to
from sbp_bayes.seeds import generator, numpy_generator
from sbp_bayes.training import distributed_checkpoint, parallel, sharding, trainer
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.interruption import Interrupted

VOCABULARY, CONTEXT, STEPS = 13, 16, 20
SHAPE = ModelConfig(VOCABULARY, width=24, layers=2, heads=4, kv_heads=2, head_dim=8, hidden=40, tied=True)


class Documents:
    """``n`` documents of 5 to 14 random tokens; those numbered ``broken`` carry a weight that is not a number."""

    def __init__(self, n: int, broken: tuple[int, ...] = ()):
        self.lengths = numpy_generator("lengths", n).integers(4, 14, n)
        self.broken = broken
        self.fingerprint = f"{n} documents, {broken} broken"

    def __len__(self) -> int:
        return len(self.lengths)

    def sequence(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        weights = np.ones(self.lengths[i], dtype=np.float32)
        if i in self.broken:
            weights[-1] = np.nan
        return numpy_generator("document", i).integers(0, VOCABULARY, self.lengths[i] + 1), weights

    def name(self, i: int) -> str:
        return f"document {i}"


def mixture(broken: tuple[int, ...] = ()) -> Mixture:
    """Two sources, 70 and 30 rows of a hundred."""
    sources = Packed(Documents(90, broken), CONTEXT, 0), Packed(Documents(31), CONTEXT, 0)
    return Mixture([(sources[0], 0.7), (sources[1], 0.3)], 0)


def model(**shape: Any) -> Transformer:
    return Transformer(ModelConfig(**{**vars(SHAPE), **shape})).init(generator("two processes"))


def config(**changes: Any) -> TrainingConfig:
    settings = dict(steps=STEPS, context=CONTEXT, batch_tokens=8 * CONTEXT, learning_rate=1e-2, evaluate_every=1)
    return TrainingConfig(**{**settings, **changes})


def run(folder: Path, changes: dict[str, Any], broken: tuple[int, ...] = (), replicas: int = 1) -> list[dict] | str:
    """Train in ``folder``; the lines of metrics.jsonl, or the message of a UserError."""
    send_reports_to(lambda report: None)
    together = parallel.start("cpu", replicas)
    try:
        return lines_of(folder, changes, broken, together)
    except UserError as error:
        return str(error)
    finally:
        parallel.leave()


def lines_of(
    folder: Path,
    changes: dict[str, Any],
    broken: tuple[int, ...] = (),
    together: parallel.Parallel | None = None,
    **shape: Any,
) -> list[dict]:
    """Train in ``folder``, in this process alone where there is none to train ``together`` with."""
    torch.set_num_threads(1)
    validation = Packed(Documents(23), CONTEXT, 0)
    trainer.train(model(**shape), mixture(broken), config(**changes), folder, validation, parallel=together)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def run_and_die(folder: Path, changes: dict[str, Any], rank: int, step: int) -> None:
    """`run`, but process ``rank`` is killed in the middle of ``step``: its loss is there, its gradient is not."""
    losses = trainer.weighted_loss
    calls = 0

    def loss_and_die(*arguments: Any, **named: Any) -> torch.Tensor:
        nonlocal calls
        nats = losses(*arguments, **named)
        calls += 1
        if calls > step and os.environ["RANK"] == str(rank):
            os.kill(os.getpid(), signal.SIGKILL)
        return nats

    trainer.weighted_loss = loss_and_die
    run(folder, changes)


def run_until_asked(folder: Path, changes: dict[str, Any], rank: int, step: int) -> str:
    """Train together until process ``rank`` is asked, in ``step``, to stop; what Interrupted says."""
    send_reports_to(lambda report: None)
    together, steps = parallel.start("cpu"), itertools.count()
    try:
        trainer.train(
            model(),
            mixture(),
            config(**changes),
            folder,
            Packed(Documents(23), CONTEXT, 0),
            parallel=together,
            stop=lambda: next(steps) == step and together.rank == rank,
        )
    except Interrupted as end:
        return str(end)
    finally:
        parallel.leave()


def run_alone_and_die(folder: Path, changes: dict[str, Any], step: int) -> None:
    """One process on its own, killed in the middle of ``step``."""
    send_reports_to(lambda report: None)
    batches = Mixture.batch

    def batch_or_die(self: Mixture, at: int, *arguments: Any) -> Batch:
        if at == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return batches(self, at, *arguments)

    Mixture.batch = batch_or_die
    lines_of(folder, changes)


def run_and_die_saving(folder: Path, changes: dict[str, Any], rank: int, save: int) -> None:
    """`run`, but process ``rank`` is killed in its ``save``-th save, when the shards alone are written."""
    write = distributed_checkpoint._write_shards
    saves = 0

    def write_and_die(*arguments: Any) -> None:
        nonlocal saves
        write(*arguments)
        saves += 1
        if saves == save and os.environ["RANK"] == str(rank):
            os.kill(os.getpid(), signal.SIGKILL)

    distributed_checkpoint._write_shards = write_and_die
    run(folder, changes)


def run_on_full_disk(folder: Path, changes: dict[str, Any], rank: int, limit: int) -> list[dict] | str:
    """`run`, but process ``rank`` can't write files of more than ``limit`` bytes."""
    if os.environ["RANK"] == str(rank):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return run(folder, changes)


def run_on_disk_full_after_shards(folder: Path, changes: dict[str, Any]) -> list[dict] | str:
    """`run`, but where the first process completes a state it can't write files of more than 500 bytes."""
    complete = distributed_checkpoint.BackgroundSaver._complete

    def complete_on_full_disk(*arguments: Any) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
        try:
            complete(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    distributed_checkpoint.BackgroundSaver._complete = complete_on_full_disk
    return run(folder, changes)


def several(folder: Path, runs: dict[str, dict[str, Any]], replicas: int = 1) -> dict[str, list[dict]]:
    """Runs one after the other, each in its folder."""
    send_reports_to(lambda report: None)
    together = parallel.start("cpu", replicas)
    lines = {name: lines_of(folder / name, changes, (), together) for name, changes in runs.items()}
    parallel.leave()
    return lines


def saved_while_training_goes_on(folder: Path) -> tuple[list[float], list[float]]:
    """A weight as it was when its saving began, and as it is read back; meanwhile it has changed."""
    together = parallel.start("cpu")
    sharded = sharding.place(model(), together, config())
    weight = sharding.weights_of(sharded)["norm.weight"]
    before = weight.full_tensor().tolist()
    changed, write = threading.Event(), distributed_checkpoint._write_shards

    def write_late(*arguments: Any) -> None:
        assert changed.wait(30)
        write(*arguments)

    distributed_checkpoint._write_shards = write_late
    saver = distributed_checkpoint.BackgroundSaver(folder, together, keep=1)
    saver.save(3, {"weight": weight})
    weight.mul_(2)
    changed.set()
    saver.wait()
    after = distributed_checkpoint.read_folder(folder / "step-000000003", together)["weight"].full_tensor().tolist()
    parallel.leave()
    return before, after


def filled_from_meta(replicas: int) -> dict[str, np.ndarray]:
    """The weights of a model that took shape on the meta device and was filled in shards."""
    together = parallel.start("cpu", replicas)
    sharded = sharding.place(sharding.on_meta(SHAPE), together, config())
    weights = sharding.whole_weights(sharding.fill(sharded, generator("two processes"), together.device), keep=True)
    parallel.leave()
    return {name: weight.numpy() for name, weight in weights.items()}


def compiled(folder: Path) -> dict[str, Any]:
    """Runs of a sharded model of four layers that compiles, and how many graphs that took."""
    from torch._dynamo.utils import counters

    together = parallel.start("cpu")
    lines: dict[str, Any] = {}
    for name, again in (("blocks", False), ("blocks again in backward", True)):
        changes = {"steps": 4, "compile": "on", "activation_checkpointing": again}
        lines[name] = lines_of(folder / name, changes, (), together, layers=4)
    parallel.leave()
    return {**lines, "graphs": counters["stats"]["unique_graphs"]}
