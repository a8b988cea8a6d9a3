"""What a launch writes down in its folder: its options and its tokenizer, for going on, refusing and exporting."""

import dataclasses
from pathlib import Path
from typing import Any

from sbp_bayes.documents.tokenizer import Tokenizer, load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import exclusive, read_json, write_json
from sbp_bayes.training.checkpoint import FINAL
from sbp_bayes.training.configuration import NEVER_NAMED, WITHOUT_EFFECT, TrainingConfig
from sbp_bayes.training.run_lock import LOCK
from sbp_bayes.training.state import states
from sbp_bayes.training.trained import TRAINED, Trained

RECORD = "launch.json"
TOKENIZER = "tokenizer"
MAY_CHANGE = {*NEVER_NAMED, *WITHOUT_EFFECT, "accumulation"}  # of a training's settings, while it is under way
# Options of which only a hash is kept.
CONTENTS = ("corpus", "validation", "pairs", "heldout_pairs", "start", "tokenizer", "branch")


def record_of(config: TrainingConfig, size: str, seed: int, contents: dict[str, str]) -> dict[str, Any]:
    """Options and their values, as far as they decide the result; ``contents``: hashes of what CONTENTS point to."""
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in MAY_CHANGE}
    return {**settings, "betas": list(config.betas), "size": size, "seed": seed, **contents}


def begun(out: Path) -> dict[str, Any] | None:
    """The record of the launch that left weights or states in ``out``; None where there is none."""
    if not (out / RECORD).is_file() or not ((out / TRAINED).is_file() or states(out / "state")):
        return None
    record = read_json(out / RECORD)
    if not isinstance(record, dict):
        raise UserError(f"{out / RECORD}: not the record of a launch; give another --out")
    return record


def check(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises UserError, with the options that differ, where ``out`` was begun with others than those of ``now``."""
    differing = [name for name in now if before.get(name) != now[name]]
    if not differing:
        return
    said = ", ".join(_difference(name, before.get(name), now[name]) for name in differing)
    raise UserError(
        f"{out}: belongs to a run with another configuration or data ({said}); give another --out, or delete the "
        "folder to begin anew"
    )


def finished(out: Path) -> Trained | None:
    """What the launch in ``out`` reported, None where it has not ended."""
    if not (out / TRAINED).is_file() or not (out / FINAL).is_file():
        return None
    try:
        return Trained(**read_json(out / TRAINED))
    except TypeError as error:
        raise UserError(f"{out / TRAINED}: not the report of a training run; give another --out") from error


def write(out: Path, record: dict[str, Any], tokenizer: Tokenizer) -> None:
    """Write record and tokenizer into ``out``. Raises UserError where another run is under way there."""
    with exclusive(out / LOCK, str(out), wait=False):
        tokenizer.save(out / TOKENIZER)
        write_json(out / RECORD, record)


def finished_launch(out: Path) -> tuple[dict[str, Any], Tokenizer]:
    """Record and tokenizer of the finished launch in ``out``. Raises UserError where it has not ended."""
    if finished(out) is None:
        raise UserError(f"{out}: the training there has not ended; the same command as before goes on with it")
    return read_json(out / RECORD), load_tokenizer(out / TOKENIZER)


def _difference(name: str, before: Any, now: Any) -> str:
    option = f"--{name.replace('_', '-')}"
    if name in CONTENTS:
        return f"{option} of other content"
    return f"{option} {'none' if before is None else before}, now {'none' if now is None else now}"
