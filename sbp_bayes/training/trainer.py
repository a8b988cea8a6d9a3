"""The one trainer. Killed at any moment and started again, it ends on a CPU with the bits of an undisturbed run."""

import dataclasses
import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sbp_bayes.documents.packing import Batch, Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash, read_json, write_json, write_text
from sbp_bayes.ledger import training_flops
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import Progress
from sbp_bayes.training.checkpoint import BEST, FINAL, load_model, load_state, save_model, save_state
from sbp_bayes.training.compilation import loss_function
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.objective import evaluate
from sbp_bayes.training.optimiser import make_optimiser


@dataclass(frozen=True)
class Trained:
    """What a finished run reports (trained.json); the same for two runs of one seed.

    identity: names what the result depends on; steps: taken; final_loss: training nats per counted target since the
    line before the last; final_validation_loss, best_loss: held-out, None without a validation set; tokens: targets
    that went through the model, padding left out; slots: padding counted too; flops: of training, evaluations left
    out; epochs: how often each source was read; parameters: trained numbers.
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


def train(
    model: Transformer,
    mixture: Mixture,
    config: TrainingConfig,
    folder: Path,
    validation: Packed | None = None,
    name: str = "train",
    device: torch.device | str = "cpu",
    tokenizer_fingerprint: str = "",
) -> Trained:
    """Train ``model`` (its present weights are the start) and leave the results in ``folder``.

    metrics.jsonl: a line every `TrainingConfig.line_every` steps; final.safetensors and best.safetensors (the lowest
    held-out loss, or the final weights without a validation set); trained.json; timing.json, the one file that differs
    between two runs of one seed. state/ holds the checkpoints of a run under way. A finished run is returned at once.

    Raises UserError where the loss is no longer finite, the contexts disagree, ``folder`` belongs to another run, every
    checkpoint is damaged, or the disk is full. ``model`` ends with the final weights.
    """
    return _Run(
        model, mixture, config, Path(folder), validation, name, torch.device(device), tokenizer_fingerprint
    ).go()


class _Run:
    """One training run under way: what has to survive a kill is in `state`, everything else follows from the config."""

    def __init__(
        self,
        model: Transformer,
        mixture: Mixture,
        config: TrainingConfig,
        folder: Path,
        validation: Packed | None,
        name: str,
        device: torch.device,
        tokenizer_fingerprint: str,
    ):
        if mixture.context != config.context:
            raise UserError(f"training.context: {config.context}, but the data is packed for {mixture.context}")
        self.model, self.mixture, self.config, self.folder = model.to(device), mixture, config, folder
        self.validation, self.name, self.device = validation, name, device
        self.fingerprint = tokenizer_fingerprint
        self.optimiser = make_optimiser(model, config)
        self.loss = loss_function(config, device)
        self.identity = self._identity()
        self.step = self.tokens = self.bad_evaluations = 0
        self.loss_sum = self.weight_sum = self.gradient_norm = 0.0
        self.best_step: int | None = None
        self.best_loss: float | None = None
        self.lines: list[str] = []

    def go(self) -> Trained:
        done = self.folder / "trained.json"
        if done.is_file():
            return self._finished(done)
        self._restore()
        config = self.config
        total = config.total_steps
        slots = config.batch_rows * config.context
        if self.step == 0 and self.validation is not None:
            self._line()
        started, first, paused = time.monotonic(), self.step, 0.0
        saved = started
        with Progress(self.name, total * slots, "tokens", self.step * slots) as progress:
            while self.step < total and not self._exhausted():
                loss = self._step(self.mixture.batch(self.step, config.batch_rows))
                progress.advance(slots, loss=loss)
                now = time.monotonic()
                if self.step % config.line_every == 0 or self.step == total:
                    self._line()
                due_by_step = config.checkpoint_every and self.step % config.checkpoint_every == 0
                if due_by_step or time.monotonic() - saved >= config.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
                paused += time.monotonic() - now
        seconds = time.monotonic() - started - paused
        return self._finish((self.step - first) * slots, seconds)

    def _step(self, batch: Batch) -> float:
        """One optimiser step; returns the batch's loss. Parts of an accumulated batch share the batch's weight."""
        config = self.config
        total = 0.0
        weight = max(batch.weight, 1e-9)
        for part in batch.split(config.accumulation) if config.accumulation > 1 else [batch]:
            part = part.to(self.device)
            loss = self.loss(self.model, part.inputs, part.targets, part.weights, **part.attention) / weight
            loss.backward()
            total += loss.item()
        rate = config.learning_rate_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip or math.inf).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise UserError(
                f"{self.name}: the loss or its gradient is no longer finite at step {self.step} (loss {total}); "
                f"try a learning rate below {config.learning_rate:g}, or a longer warm-up"
            )
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        self.tokens += batch.tokens
        self.loss_sum += total * batch.weight
        self.weight_sum += batch.weight
        self.gradient_norm = norm
        return total

    def _line(self) -> None:
        """Evaluate, keep the best weights, and append a line to metrics.jsonl."""
        line: dict[str, Any] = {"step": self.step, "tokens": self.tokens}
        if self.step > 0:
            line["train_loss"] = self.loss_sum / max(self.weight_sum, 1e-9)
            line["learning_rate"] = self.optimiser.param_groups[0]["lr"]
            line["gradient_norm"] = self.gradient_norm
        if self.validation is not None:
            line["validation_loss"] = loss = evaluate(self.model, self.validation).nats
            if not math.isfinite(loss):
                raise UserError(
                    f"{self.name}: the held-out loss is {loss} at step {self.step}; try a lower learning rate"
                )
            if self.best_loss is None or loss < self.best_loss:
                self.best_step, self.best_loss, self.bad_evaluations = self.step, loss, 0
                save_model(self.model, self.folder / BEST, self.fingerprint)
            else:
                self.bad_evaluations += 1
        self.loss_sum = self.weight_sum = 0.0
        self.lines.append(json.dumps(line, allow_nan=False))
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(self.lines[-1] + "\n")

    def _exhausted(self) -> bool:
        return 0 < self.config.patience <= self.bad_evaluations

    def _save(self) -> None:
        state = {
            "identity": self.identity,
            "model": {name: weight.detach() for name, weight in self.model.named_parameters()},
            "optimiser": self.optimiser.state_dict(),
            **{name: getattr(self, name) for name in STATE},
        }
        save_state(self.folder / "state", self.step, state)

    def _restore(self) -> None:
        """Take up the newest checkpoint, if any; metrics.jsonl goes back to what it was then."""
        state = load_state(self.folder / "state", self.identity)
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            for name in STATE:
                setattr(self, name, state[name])
        write_text(self.folder / "metrics.jsonl", "".join(line + "\n" for line in self.lines))

    def _finish(self, slots: int, seconds: float) -> Trained:
        """Write what remains; trained.json comes last and says that all else is there."""
        model, config, mixture = self.model, self.config, self.mixture
        save_model(model, self.folder / FINAL, self.fingerprint)
        if self.validation is None:
            save_model(model, self.folder / BEST, self.fingerprint)
        last = json.loads(self.lines[-1])
        flops = training_flops(
            model.matrix_parameters, model.config.layers, model.attention_width, self.tokens, mixture.mean_context
        )
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
            flops=flops,
            epochs=mixture.epochs(self.step, config.batch_rows),
            parameters=model.parameters_count,
        )
        rate = slots / seconds if slots else None
        write_json(self.folder / "timing.json", {"seconds": seconds, "slots": slots, "slots_per_second": rate})
        write_json(self.folder / "trained.json", dataclasses.asdict(trained))
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        return trained

    def _finished(self, done: Path) -> Trained:
        stored = read_json(done)
        if stored.get("identity") != self.identity:
            raise UserError(f"{done}: belongs to a run with another configuration or data; delete {self.folder}")
        final = load_model(self.folder / FINAL, self.fingerprint, self.model.config)
        self.model.load_state_dict(final.state_dict())
        return Trained(**stored)

    def _identity(self) -> str:
        """Names everything that decides the result, but for the documents themselves and the starting weights' values.

        How often a run is saved does not decide it.
        """
        held_out = None if self.validation is None else {"rows": len(self.validation), "tokens": self.validation.tokens}
        return content_hash(
            {
                "config": self.config.identity(),
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
    "loss_sum",
    "weight_sum",
    "gradient_norm",
    "best_step",
    "best_loss",
    "lines",
)
