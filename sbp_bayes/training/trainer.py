"""The one trainer, of one process or many. Killed at any moment and started again, it ends with the result of an
undisturbed run: to the last bit on a CPU and the same number of processes, up to rounding elsewhere.
"""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sbp_bayes.documents.packing import Batch, Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.files import write_json
from sbp_bayes.ledger import training_flops
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import Progress
from sbp_bayes.training.branching import STABLE, stem_of, take_up
from sbp_bayes.training.checkpoint import BEST, FINAL, load_model, save_weights
from sbp_bayes.training.compilation import loss_function
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.identity import run_identity
from sbp_bayes.training.interruption import Interrupted
from sbp_bayes.training.metrics import MetricsLogger
from sbp_bayes.training.nonfinite import Outcomes, Verdict, culprits, flag, skips_by_itself
from sbp_bayes.training.objective import evaluate, weighted_loss
from sbp_bayes.training.optimiser import make_optimiser
from sbp_bayes.training.parallel import Parallel, alone
from sbp_bayes.training.run_lock import LOCK, only_run_in
from sbp_bayes.training.run_state import RunState
from sbp_bayes.training.sharding import is_sharded, load, place, whole_weights
from sbp_bayes.training.state import SavedStates
from sbp_bayes.training.stopwatch import Stopwatch
from sbp_bayes.training.trained import TRAINED, Trained, read_trained

READ_SECONDS = 1.0  # between looks at what a GPU has come to; each look waits for it


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
    start: str = "",
    branch: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train ``model`` (its present weights are the start) and leave the results in ``folder``.

    metrics.jsonl: a line every `TrainingConfig.evaluation_every` steps, or more; final.safetensors and best.safetensors
    (the lowest held-out loss, or the final weights without a validation set); trained.json; timing.json and
    speed.jsonl, which alone differ between two runs of one seed. state/ holds the checkpoints of a run under way. A
    finished run is returned at once.

    parallel: the processes that train together (`sbp_bayes.training.parallel.start`), each of which calls this with the
    same arguments and the same weights; ``device`` is then theirs. Which documents a step reads does not depend on
    their number, so that a run may go on with another. start: names the weights of ``model`` (a hash of their file),
    where ``config.seed`` does not; a folder is refused to a run with another. branch: folder of a run from whose
    stable phase this one goes on (`sbp_bayes.training.branching`). stop: asked each step, of each process, whether to
    save a state and raise Interrupted.

    Raises UserError where the loss is no longer finite, the contexts disagree, the rows of a batch can't be shared out,
    ``folder`` belongs to another run or one is under way in it, no target has a weight, every checkpoint is damaged, or
    the disk is full. ``model`` ends with the final weights; it is then sharded if it was trained by several processes
    or in bfloat16.
    """
    parallel, folder = parallel or alone(device, sharded=config.precision == "bfloat16"), Path(folder)
    run = Run(model, mixture, config, folder, validation, name, tokenizer_fingerprint, parallel, start, branch, stop)
    with only_run_in(folder, parallel):
        try:
            return run.go()
        finally:
            run.close()


@dataclass(frozen=True)
class Step:
    """The coming step: this process's rows; weight and tokens of the whole batch; what is due after it."""

    batch: Batch
    weight: float
    tokens: int
    stop: bool
    save: bool
    read: bool


class Run:
    """One training run under way: what has to survive a kill is in `run`, everything else follows from the config.

    `go` is the run from end to end; `sbp_bayes.training.replicas` takes several through the same parts side by side.
    """

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
        start: str,
        branch: Path | None,
        stop: Callable[[], bool],
    ):
        if mixture.context != config.context:
            raise UserError(f"training.context: {config.context}, but the data is packed for {mixture.context}")
        config.check_shares(parallel.size)
        self.mixture, self.config, self.folder, self.parallel = mixture, config, folder, parallel
        self.validation, self.name, self.fingerprint = validation, name, tokenizer_fingerprint
        self.model = place(model, parallel, config)
        self.optimiser = make_optimiser(model, config)
        self.loss = loss_function(config, parallel.device) if parallel.mesh is None else weighted_loss
        self.identity = run_identity(config, model.config, mixture, validation, tokenizer_fingerprint, start)
        self.outcomes = Outcomes()
        self.verdict = Verdict(name, config, lambda step: culprits(self.model, mixture, step, config, parallel))
        self.skips_by_itself = skips_by_itself(self.optimiser, parallel.device)
        self.run, self.first_step = RunState(), 0
        self.states = SavedStates(folder / "state", self.identity, parallel, config.checkpoints_kept)
        self.stem = run_identity(stem_of(config), model.config, mixture, validation, tokenizer_fingerprint, "")
        self.stable = SavedStates(folder / STABLE, self.stem, parallel, 1)
        self.branch, self.stop, self.stopping = branch, stop, False
        self.tokens_at_line, self.seconds_at_line, self.watch = 0, 0.0, Stopwatch()
        self.shown: dict[str, float] = {}
        self.logger: MetricsLogger | None = None

    def go(self) -> Trained:
        if self.is_finished:
            return self.finished()
        self.begin()
        with Progress(
            self.name, self.config.total_steps * self.slots, "tokens", self.run.step * self.slots
        ) as progress:
            while not self.over:
                step = self.next_step()
                self._take(step)
                progress.advance(self.slots, **self.shown)
                self.after(step)
                if self.stopping:
                    self.interrupt()
        return self.finish()

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds all results."""
        return (self.folder / TRAINED).is_file()

    @property
    def slots(self) -> int:
        """Of a step, padding counted."""
        return self.config.batch_rows * self.config.context

    @property
    def over(self) -> bool:
        """Whether there is no further step to take."""
        exhausted = 0 < self.config.patience <= self.run.bad_evaluations
        return exhausted or self.run.step >= self.config.total_steps

    def begin(self) -> None:
        """Take up where the run has got to; at step 0, write the line of the weights it starts from."""
        self._restore()
        self.parallel.on_first(self._open_metrics)
        self.first_step, self.watch = self.run.step, Stopwatch()
        if self.run.step == 0 and self.validation is not None:
            self._line(True)

    def next_step(self) -> Step:
        """The coming step, on which all processes agree; the learning rate is set to its."""
        config, parallel = self.config, self.parallel
        batch = self.mixture.batch(self.run.step, config.batch_rows, parallel.part_of(config.batch_rows))
        weight, tokens, stop, save, read = parallel.totals(batch.weight, batch.tokens, self.stop(), *self._due())
        rate = config.learning_rate_at(self.run.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return Step(batch, weight, int(tokens), stop > 0, save > 0, read > 0)

    def _take(self, step: Step) -> None:
        """Move the weights."""
        loss = self._backward(step.batch, max(step.weight, 1e-9))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip or math.inf)
        norm = norm.full_tensor() if is_sharded(norm) else norm
        self.outcomes.add(self.run.step, loss, norm, step.weight)
        if self.skips_by_itself:
            self.optimiser.found_inf = flag(loss, norm)
            self.optimiser.step()
            if step.read:
                self.read()
        elif self.read():
            self.optimiser.step()
        self.optimiser.zero_grad()

    def after(self, step: Step) -> None:
        """Count ``step``, which has moved the weights or been skipped, and do what is due."""
        config, run = self.config, self.run
        run.step += 1
        run.tokens += step.tokens
        evaluate_now = run.step % config.evaluation_every == 0 or run.step == config.total_steps
        if evaluate_now or (config.log_every and run.step % config.log_every == 0):
            self._line(evaluate_now)
        if step.save or step.stop:
            self._save(self.states)
        if config.keep_stable and run.step == config.stable_steps:
            self.states.wait()  # the two share a group of processes
            self._save(self.stable)
            self.stable.wait()
        self.stopping = step.stop and run.step < config.total_steps

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
        by_step = every > 0 and (self.run.step + 1) % every == 0
        by_time = watch.since("saved") >= self.config.checkpoint_seconds
        return by_step or by_time, watch.since("read") >= READ_SECONDS

    def read(self) -> bool:
        """Take the outcomes of the steps since the last look into account; False where one was not finite."""
        finite = True
        for outcome in self.outcomes.read():
            self.run.count(outcome)
            if outcome.finite:
                self.shown = {"loss": outcome.loss}
            else:
                finite = False
                self.verdict.on(outcome, self.run.skipped_in_a_row, self.parallel.first)
        self.watch.marked("read")
        return finite

    def _line(self, evaluate_now: bool) -> None:
        """Append a line to metrics.jsonl; where it is time to evaluate, do so before and keep the best weights."""
        self.read()
        self._check_weights()
        seconds, tokens = self.watch.training - self.seconds_at_line, self.run.tokens - self.tokens_at_line
        with self.watch.paused():
            line = self.run.training_line(self.optimiser.param_groups[0]["lr"])
            if evaluate_now and self.validation is not None:
                line["validation_loss"] = self._evaluate()
            self.run.lines.append(json.dumps(line, allow_nan=False))
            self.parallel.on_first(lambda: self.logger.log(line, tokens, seconds))
        self.seconds_at_line, self.tokens_at_line = self.watch.training, self.run.tokens

    def _check_weights(self) -> None:
        run = self.run
        learnt = run.weight_sum > 0 or any('"train_loss"' in line for line in run.lines)
        if run.step > 0 and not learnt and not run.skipped:
            raise UserError(f"{self.name}: no target of {run.step} steps has a weight, so there is nothing to learn")

    def _evaluate(self) -> float:
        """The held-out loss; the best weights are kept."""
        loss = evaluate(self.model, self.validation, self.parallel).nats
        if not math.isfinite(loss):
            step = self.run.step
            raise UserError(f"{self.name}: the held-out loss is {loss} at step {step}; try a lower learning rate")
        if self.run.is_best(loss):
            self._write_weights(BEST)
        return loss

    def _write_weights(self, *names: str) -> None:
        weights = whole_weights(self.model, self.parallel.first)

        def write() -> None:
            for name in names:
                save_weights(weights, self.model.config, self.folder / name, self.fingerprint)

        self.parallel.on_first(write)

    def _open_metrics(self) -> None:
        flops = training_flops(*self._shape(), 1, self.mixture.mean_context)
        self.logger = MetricsLogger(
            self.folder, self.run.lines, self.config.track, self.parallel.device, flops, self.parallel.size
        )

    def _shape(self) -> tuple[int, int, int]:
        return self.model.matrix_parameters, self.model.config.layers, self.model.attention_width

    def _save(self, states: SavedStates) -> None:
        self.read()
        with self.watch.paused():
            states.save(self.run.step, self.model, self.optimiser, dataclasses.asdict(self.run))
        self.watch.marked("saved")

    def interrupt(self) -> None:
        """Raise Interrupted; the state is saved."""
        self.states.wait()
        self.parallel.on_first(lambda: self.logger.close())
        raise Interrupted(
            f"{self.folder}: stopped by a signal; step {self.run.step} is saved, the same command goes on from it"
        )

    def _restore(self) -> None:
        """Take up the newest checkpoint, if any, or that of the run to branch from."""
        numbers = self.states.restore(self.model, self.optimiser)
        if numbers is not None:
            self.run = RunState(**numbers)
        elif self.branch is not None:
            kept = SavedStates(self.branch / STABLE, self.stem, self.parallel, 1)
            self.run = take_up(self.branch, kept, self.model, self.optimiser, self.config)
        self.tokens_at_line = self.run.tokens

    def finish(self) -> Trained:
        """Write what remains; trained.json comes last and says that all else is there."""
        config, mixture, seconds = self.config, self.mixture, self.watch.training
        slots = (self.run.step - self.first_step) * self.slots
        self.states.wait()
        self._write_weights(FINAL, *([BEST] if self.validation is None else []))
        last = json.loads(self.run.lines[-1])
        trained = Trained(
            identity=self.identity,
            steps=self.run.step,
            stopped_early=self.run.step < config.total_steps,
            final_loss=last.get("train_loss"),
            final_validation_loss=last.get("validation_loss"),
            best_step=self.run.best_step,
            best_loss=self.run.best_loss,
            tokens=self.run.tokens,
            slots=self.run.step * self.slots,
            flops=training_flops(*self._shape(), self.run.tokens, mixture.mean_context),
            epochs=mixture.epochs(self.run.step, config.batch_rows),
            parameters=self.model.parameters_count,
            skipped=self.run.skipped,
        )
        rate = slots / seconds if slots else None

        def write() -> None:
            self.logger.close()
            write_json(self.folder / "timing.json", {"seconds": seconds, "slots": slots, "slots_per_second": rate})
            write_json(self.folder / TRAINED, dataclasses.asdict(trained))
            self._clear()

        self.parallel.on_first(write)
        return trained

    def finished(self) -> Trained:
        """What the finished run reported; the model gets its weights."""
        trained = read_trained(self.folder, self.identity)
        final = load_model(self.folder / FINAL, self.fingerprint, self.model.config)
        load(self.model, dict(final.named_parameters()), self.parallel.device)
        self.parallel.on_first(self._clear)
        return trained

    def close(self) -> None:
        """Let states under way be written to their end."""
        self.states.close()
        self.stable.close()

    def _clear(self) -> None:
        """Remove what only a run under way needs."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        with suppress(OSError):
            (self.folder / LOCK).unlink()
