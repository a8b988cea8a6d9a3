"""The one trainer, of one process or many. Killed at any moment and started again, it ends with the result of an
undisturbed run: to the last bit on a CPU and the same number of processes, up to rounding elsewhere.
"""

import dataclasses
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sbp_bayes.documents.packing import Batch, Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash, read_json, write_json
from sbp_bayes.ledger import training_flops
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import Progress
from sbp_bayes.training.checkpoint import BEST, FINAL, load_model, save_weights
from sbp_bayes.training.compilation import loss_function
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.metrics import MetricsLogger
from sbp_bayes.training.nonfinite import Outcomes, Verdict, culprits, flag, skips_by_itself
from sbp_bayes.training.objective import evaluate, weighted_loss
from sbp_bayes.training.optimiser import make_optimiser
from sbp_bayes.training.parallel import Parallel, alone
from sbp_bayes.training.sharding import is_sharded, load, place, sharded_as_weights, weights_of, whole_weights
from sbp_bayes.training.state import load_state, map_tensors, save_state
from sbp_bayes.training.stopwatch import Stopwatch

READ_SECONDS = 1.0  # between looks at what a GPU has come to; each look waits for it


@dataclass(frozen=True)
class Trained:
    """What a finished run reports (trained.json); the same for two runs of one seed.

    identity: names what the result depends on; steps: taken; final_loss: training nats per counted target since the
    line before the last; final_validation_loss, best_loss: held-out, None without a validation set; tokens: targets
    that went through the model, padding left out; slots: padding counted too; flops: of training, evaluations left
    out; epochs: how often each source was read; parameters: trained numbers; skipped: batches left out because their
    loss or gradient was not finite.
    """

    identity: str
    steps: int
    stopped_early: bool
    final_loss: float
    final_validation_loss: float | None
    best_step: int | None
    best_loss: float | None
    tokens: int
    slots: int
    flops: float
    epochs: list[float]
    parameters: int
    skipped: int = 0


def train(
    model: Transformer,
    mixture: Mixture,
    config: TrainingConfig,
    folder: Path,
    validation: Packed | None = None,
    name: str = "train",
    device: torch.device | str = "cpu",
    tokenizer_fingerprint: str = "",
    parallel: Parallel | None = None,
) -> Trained:
    """Train ``model`` (its present weights are the start) and leave the results in ``folder``.

    metrics.jsonl: a line every `TrainingConfig.line_every` steps; final.safetensors and best.safetensors (the lowest
    held-out loss, or the final weights without a validation set); trained.json; timing.json and speed.jsonl, which
    alone differ between two runs of one seed. state/ holds the checkpoints of a run under way. A finished run is
    returned at once.

    parallel: the processes that train together (`sbp_bayes.training.parallel.start`), each of which calls this with the
    same arguments and the same weights; ``device`` is then theirs. Which documents a step reads does not depend on
    their number, so that a run may go on with another.

    Raises UserError where the loss is no longer finite, the contexts disagree, the rows of a batch can't be shared out,
    ``folder`` belongs to another run, every checkpoint is damaged, or the disk is full. ``model`` ends with the final
    weights; it is then sharded if it was trained by several processes or in bfloat16.
    """
    parallel = parallel or alone(device, sharded=config.precision == "bfloat16")
    return _Run(model, mixture, config, Path(folder), validation, name, tokenizer_fingerprint, parallel).go()


class _Run:
    """One training run under way: what has to survive a kill is in `STATE`, everything else follows from the config."""

    def __init__(
        self,
        model: Transformer,
        mixture: Mixture,
        config: TrainingConfig,
        folder: Path,
        validation: Packed | None,
        name: str,
        tokenizer_fingerprint: str,
        parallel: Parallel,
    ):
        if mixture.context != config.context:
            raise UserError(f"training.context: {config.context}, but the data is packed for {mixture.context}")
        if config.batch_rows % (parallel.size * config.accumulation):
            raise UserError(
                f"training.batch_tokens: {config.batch_rows} rows a step can't be shared out to {parallel.size} "
                f"processes in {config.accumulation} parts each"
            )
        self.mixture, self.config, self.folder, self.parallel = mixture, config, folder, parallel
        self.validation, self.name, self.fingerprint = validation, name, tokenizer_fingerprint
        self.model = place(model, parallel, config)
        self.optimiser = make_optimiser(model, config)
        self.loss = loss_function(config, parallel.device) if parallel.mesh is None else weighted_loss
        self.identity = self._identity()
        self.outcomes = Outcomes()
        self.verdict = Verdict(
            name, config, lambda step: culprits(self.model, mixture, step, config.batch_rows, parallel)
        )
        self.skips_by_itself = skips_by_itself(self.optimiser, parallel.device)
        self.step = self.tokens = self.bad_evaluations = self.skipped = self.skipped_in_a_row = 0
        self.loss_sum = self.weight_sum = self.gradient_norm = 0.0
        self.best_step: int | None = None
        self.best_loss: float | None = None
        self.lines: list[str] = []
        self.tokens_at_line, self.seconds_at_line, self.watch = 0, 0.0, Stopwatch()
        self.shown: dict[str, float] = {}
        self.logger: MetricsLogger | None = None
        self.saver = None
        if parallel.mesh is not None:
            from sbp_bayes.training.distributed_checkpoint import BackgroundSaver

            self.saver = BackgroundSaver(folder / "state", parallel, config.checkpoints_kept)

    def go(self) -> Trained:
        done = self.folder / "trained.json"
        if done.is_file():
            return self._finished(done)
        self._restore()
        self.parallel.on_first(self._open_metrics)
        config, total = self.config, self.config.total_steps
        slots = config.batch_rows * config.context
        if self.step == 0 and self.validation is not None:
            self._line()
        first, self.watch = self.step, Stopwatch()
        with Progress(self.name, total * slots, "tokens", self.step * slots) as progress:
            while self.step < total and not self._exhausted():
                save = self._step()
                progress.advance(slots, **self.shown)
                if self.step % config.line_every == 0 or self.step == total:
                    self._read()
                    self._line()
                if save:
                    self._save()
        return self._finish((self.step - first) * slots)

    def _step(self) -> bool:
        """One optimiser step; returns whether the state is due to be saved, on which all processes agree."""
        config, parallel = self.config, self.parallel
        batch = self.mixture.batch(self.step, config.batch_rows, parallel.part_of(config.batch_rows))
        weight, tokens, save, read = parallel.totals(batch.weight, batch.tokens, *self._due())
        weight = max(weight, 1e-9)
        loss = self._backward(batch, weight)
        rate = config.learning_rate_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip or math.inf)
        norm = norm.full_tensor() if is_sharded(norm) else norm
        self.outcomes.add(self.step, loss, norm, weight)
        if self.skips_by_itself:
            self.optimiser.found_inf = flag(loss, norm)
            self.optimiser.step()
            if read:
                self._read()
        elif self._read():
            self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        self.tokens += int(tokens)
        return bool(save)

    def _backward(self, batch: Batch, weight: float) -> Tensor:
        """Gradients of the batch's loss, summed over parts and processes; returns the loss, of no dimension, float64.

        weight: of the whole batch. FSDP takes the mean of the processes' gradients, so each has its sum times their
        number; within a part it scatters them at once, so that no process ever holds them all.
        """
        parts, size = self.config.accumulation, self.parallel.size
        total = torch.zeros((), dtype=torch.float64, device=self.parallel.device)
        for number, part in enumerate(batch.split(parts) if parts > 1 else [batch], start=1):
            if self.parallel.mesh is not None:
                self.model.set_requires_all_reduce(number == parts)
            part = part.to(self.parallel.device)
            nats = self.loss(self.model, part.inputs, part.targets, part.weights, **part.attention)
            loss = nats / (weight / size)
            loss.backward()
            total += loss.detach()
        return self.parallel.sum(total) / size

    def _due(self) -> tuple[bool, bool]:
        """Whether to save after the coming step, and to look at outcomes. The first process's clock decides."""
        if not self.parallel.first:
            return False, False
        every, watch = self.config.checkpoint_every, self.watch
        by_step = every > 0 and (self.step + 1) % every == 0
        by_time = watch.since("saved") >= self.config.checkpoint_seconds
        return by_step or by_time, watch.since("read") >= READ_SECONDS

    def _read(self) -> bool:
        """Take the outcomes of the steps since the last look into account; False where one was not finite."""
        finite = True
        for outcome in self.outcomes.read():
            if outcome.finite:
                self.loss_sum += outcome.loss * outcome.weight
                self.weight_sum += outcome.weight
                self.gradient_norm = outcome.norm
                self.skipped_in_a_row = 0
                self.shown = {"loss": outcome.loss}
            else:
                self.skipped += 1
                self.skipped_in_a_row += 1
                finite = False
                self.verdict.on(outcome, self.skipped_in_a_row, self.parallel.first)
        self.watch.marked("read")
        return finite

    def _line(self) -> None:
        """Evaluate, keep the best weights, and append a line to metrics.jsonl."""
        seconds, tokens = self.watch.training - self.seconds_at_line, self.tokens - self.tokens_at_line
        with self.watch.paused():
            line: dict[str, Any] = {"step": self.step, "tokens": self.tokens}
            if self.step > 0:
                line["train_loss"] = self.loss_sum / max(self.weight_sum, 1e-9)
                line["learning_rate"] = self.optimiser.param_groups[0]["lr"]
                line["gradient_norm"] = self.gradient_norm
            if self.skipped:
                line["skipped"] = self.skipped
            if self.validation is not None:
                line["validation_loss"] = self._evaluate()
            self.loss_sum = self.weight_sum = 0.0
            self.lines.append(json.dumps(line, allow_nan=False))
            self.parallel.on_first(lambda: self.logger.log(line, tokens, seconds))
        self.seconds_at_line, self.tokens_at_line = self.watch.training, self.tokens

    def _evaluate(self) -> float:
        """The held-out loss; the best weights are kept."""
        loss = evaluate(self.model, self.validation, self.parallel).nats
        if not math.isfinite(loss):
            raise UserError(f"{self.name}: the held-out loss is {loss} at step {self.step}; try a lower learning rate")
        if self.best_loss is None or loss < self.best_loss:
            self.best_step, self.best_loss, self.bad_evaluations = self.step, loss, 0
            self._write_weights(BEST)
        else:
            self.bad_evaluations += 1
        return loss

    def _write_weights(self, *names: str) -> None:
        weights = whole_weights(self.model, self.parallel.first)

        def write() -> None:
            for name in names:
                save_weights(weights, self.model.config, self.folder / name, self.fingerprint)

        self.parallel.on_first(write)

    def _exhausted(self) -> bool:
        return 0 < self.config.patience <= self.bad_evaluations

    def _open_metrics(self) -> None:
        flops = training_flops(*self._shape(), 1, self.mixture.mean_context)
        self.logger = MetricsLogger(
            self.folder, self.lines, self.config.track, self.parallel.device, flops, self.parallel.size
        )

    def _shape(self) -> tuple[int, int, int]:
        return self.model.matrix_parameters, self.model.config.layers, self.model.attention_width

    def _save(self) -> None:
        self._read()
        state = {
            "identity": self.identity,
            "model": weights_of(self.model),
            "optimiser": self.optimiser.state_dict(),
            **{name: getattr(self, name) for name in STATE},
        }
        with self.watch.paused():
            if self.saver is None:
                save_state(self.folder / "state", self.step, state, self.config.checkpoints_kept)
            else:
                self.saver.save(self.step, state)
        self.watch.marked("saved")

    def _restore(self) -> None:
        """Take up the newest checkpoint, if any."""
        state = load_state(self.folder / "state", self.identity, self.parallel)
        if state is None:
            return
        load(self.model, state["model"], self.parallel.device)
        mesh = self.parallel.mesh
        self.optimiser.load_state_dict(
            map_tensors(state["optimiser"], lambda _, tensor: sharded_as_weights(tensor, mesh))
        )
        for name in STATE:
            setattr(self, name, state[name])
        self.tokens_at_line = json.loads(self.lines[-1])["tokens"] if self.lines else 0

    def _finish(self, slots: int) -> Trained:
        """Write what remains; trained.json comes last and says that all else is there."""
        config, mixture, seconds = self.config, self.mixture, self.watch.training
        if self.saver is not None:
            self.saver.wait()
        self._write_weights(FINAL, *([BEST] if self.validation is None else []))
        last = json.loads(self.lines[-1])
        trained = Trained(
            identity=self.identity,
            steps=self.step,
            stopped_early=self.step < config.total_steps,
            final_loss=last["train_loss"],
            final_validation_loss=last.get("validation_loss"),
            best_step=self.best_step,
            best_loss=self.best_loss,
            tokens=self.tokens,
            slots=self.step * config.batch_rows * config.context,
            flops=training_flops(*self._shape(), self.tokens, mixture.mean_context),
            epochs=mixture.epochs(self.step, config.batch_rows),
            parameters=self.model.parameters_count,
            skipped=self.skipped,
        )
        rate = slots / seconds if slots else None

        def write() -> None:
            self.logger.close()
            write_json(self.folder / "timing.json", {"seconds": seconds, "slots": slots, "slots_per_second": rate})
            write_json(self.folder / "trained.json", dataclasses.asdict(trained))
            shutil.rmtree(self.folder / "state", ignore_errors=True)

        self.parallel.on_first(write)
        return trained

    def _finished(self, done: Path) -> Trained:
        stored = read_json(done)
        if stored.get("identity") != self.identity:
            raise UserError(f"{done}: belongs to a run with another configuration or data; delete {self.folder}")
        final = load_model(self.folder / FINAL, self.fingerprint, self.model.config)
        load(self.model, dict(final.named_parameters()), self.parallel.device)
        return Trained(**stored)

    def _identity(self) -> str:
        """Names everything that decides the result, but for the documents themselves and the starting weights' values.

        How often a run is saved does not decide it, nor in how many parts a batch is computed, which may have to change
        with the number of processes.
        """
        held_out = None if self.validation is None else {"rows": len(self.validation), "tokens": self.validation.tokens}
        return content_hash(
            {
                "config": self.config.identity() | {"accumulation": 1},
                "model": dataclasses.asdict(self.model.config),
                "data": self.mixture.describe(),
                "validation": held_out,
                "tokenizer": self.fingerprint,
            }
        )


STATE = (
    "step",
    "tokens",
    "bad_evaluations",
    "skipped",
    "skipped_in_a_row",
    "loss_sum",
    "weight_sum",
    "gradient_norm",
    "best_step",
    "best_loss",
    "lines",
)
